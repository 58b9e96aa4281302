"""What may be asked of a host again, and when: jittered pauses that grow, and any `Retry-After` obeyed."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from finetune_kit._clock import clock
from finetune_kit.errors import BackendError, UnclearOutcomeError

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")
OnRetry: TypeAlias = Callable[["Retry"], None]

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
_SPREAD = 0.1  # of what a host names: many clients that were sent away together must not come back together
_MOST_SPREAD_SECONDS = 5.0
_LONGEST_ASKED_SECONDS = 366 * 86_400.0  # no system sleeps until a date in the year 9999

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Retry:
    """Something did not work and is tried again."""

    error: BackendError
    attempt: int
    """How often it has failed in a row."""
    pause_seconds: float
    """How long is waited before the next attempt."""


def may_try_again(error: BaseException) -> bool:
    """Whether a question may be asked again.

    Not after what asking again cannot change (no quota, no key, a refused value), and never blindly after
    `UnclearOutcomeError`: then something may have been created.
    """
    return isinstance(error, BackendError) and error.retryable and not isinstance(error, UnclearOutcomeError)


def retry_after(error: BaseException) -> float:
    """How many seconds the host asks to be left alone; 0 where it names none."""
    seconds = getattr(error, "retry_after_seconds", None)
    if not isinstance(seconds, int | float) or not math.isfinite(seconds):
        return 0.0
    return min(max(0.0, float(seconds)), _LONGEST_ASKED_SECONDS)


def pause_before(
    attempt: int,
    error: BaseException | None = None,
    *,
    first_seconds: float = FIRST_PAUSE_SECONDS,
    longest_seconds: float = LONGEST_PAUSE_SECONDS,
) -> float:
    """Seconds to wait after `attempt` failures in a row: between half and all of a pause that doubles each time.

    Never less than the host asks for, however long that is.
    """
    import tenacity

    half_first, half_longest = first_seconds / 2, longest_seconds / 2
    wait = tenacity.wait_exponential(half_first, half_longest) + tenacity.wait_random_exponential(
        half_first, half_longest
    )
    state = tenacity.RetryCallState(retry_object=tenacity.Retrying(), fn=None, args=(), kwargs={})
    state.attempt_number = attempt
    asked = retry_after(error) if error is not None else 0.0
    return max(wait(state), asked + random.uniform(0, min(_SPREAD * asked, _MOST_SPREAD_SECONDS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often one question is asked; `deadline_seconds` bounds the time in which a further attempt may begin.

    Where the next attempt would begin too late, the error is raised at once, not after a useless wait.
    """

    attempts: int | None = 6
    deadline_seconds: float | None = None
    first_pause_seconds: float = FIRST_PAUSE_SECONDS
    longest_pause_seconds: float = LONGEST_PAUSE_SECONDS
    may_retry: Callable[[BaseException], bool] = may_try_again

    def call(self, ask: Callable[[], T], *, on_retry: OnRetry | None = None) -> T:
        """What `ask` returns, or the last error that it raised."""
        import tenacity

        run = _Run(self, on_retry)
        sleep = clock().sleep
        retrying = tenacity.Retrying(
            retry=run.again, stop=run.stop, wait=run.wait, before_sleep=run.tell, sleep=sleep, reraise=True
        )
        return retrying(ask)

    async def call_async(self, ask: Callable[[], Awaitable[T]], *, on_retry: OnRetry | None = None) -> T:
        """The same for a coroutine function, without blocking the event loop."""
        import tenacity

        async def attempt() -> T:  # tenacity's types want a coroutine function
            return await ask()

        run = _Run(self, on_retry)
        retrying = tenacity.AsyncRetrying(
            retry=run.again,
            stop=run.stop,
            wait=run.wait,
            before_sleep=run.tell,
            sleep=clock().sleep_async,
            reraise=True,
        )
        return await retrying(attempt)


class _Run:
    """One call with its attempts; time is the package's clock's, which tenacity does not know."""

    def __init__(self, retries: Retries, on_retry: OnRetry | None) -> None:
        self._retries, self._on_retry = retries, on_retry
        self._begun = clock().monotonic()
        self._pause: tuple[int, float] = (0, 0.0)

    def again(self, state: RetryCallState) -> bool:
        error = _error(state)
        return error is not None and self._retries.may_retry(error)

    def stop(self, state: RetryCallState) -> bool:
        retries = self._retries
        if retries.attempts is not None and state.attempt_number >= retries.attempts:
            return True
        if retries.deadline_seconds is None:
            return False
        passed = clock().monotonic() - self._begun
        return passed + self.wait(state) > retries.deadline_seconds

    def wait(self, state: RetryCallState) -> float:
        """Drawn once for each attempt: the releases of tenacity ask for it before or after they ask whether to stop."""
        if self._pause[0] != state.attempt_number:
            pause = pause_before(
                state.attempt_number,
                _error(state),
                first_seconds=self._retries.first_pause_seconds,
                longest_seconds=self._retries.longest_pause_seconds,
            )
            self._pause = state.attempt_number, pause
        return self._pause[1]

    def tell(self, state: RetryCallState) -> None:
        error = _error(state)
        if isinstance(error, BackendError):
            _log.info("%s Asking again in %.1f s.", error, self.wait(state))
            if self._on_retry is not None:
                self._on_retry(Retry(error=error, attempt=state.attempt_number, pause_seconds=self.wait(state)))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None


QUESTIONS = Retries(deadline_seconds=600.0)
"""For one question that changes nothing, asked on behalf of a caller who waits: some two minutes, ten at most.

A host that wants to be left alone for longer is told of at once.
"""
