"""How long one launch puts up with a host that does not answer, and what is said when that has run out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TypeVar

from finetune_kit._clock import clock
from finetune_kit._retry import Retries, Retry, pause_before
from finetune_kit.errors import BackendError, FinetuneKitError

T = TypeVar("T")
E = TypeVar("E", bound=FinetuneKitError)

PATIENCE_SECONDS = 1800.0
_WORTH_TELLING_SECONDS = 10.0

_log = logging.getLogger("finetune_kit")


class Patience:
    """Time that all waiting of one launch is taken from."""

    def __init__(self, seconds: float = PATIENCE_SECONDS) -> None:
        self._deadline = clock().monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds in which something may still be begun."""
        return max(0.0, self._deadline - clock().monotonic())

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question that changes nothing; asked again where the host is in trouble."""
        return Retries(attempts=None, deadline_seconds=self.left).call(question, on_retry=_tell)

    def wait(self, attempt: int, error: BackendError) -> bool:
        """Wait as long as the error asks for; False, and at once, where that is too long."""
        pause = pause_before(attempt, error)
        if pause > self.left:
            return False
        _tell(Retry(error=error, attempt=attempt, pause_seconds=pause))
        clock().sleep(pause)
        return True


@contextmanager
def nothing_started() -> Generator[None]:
    """What a host or the disk is the reason of says so, and whether to call again."""
    try:
        yield
    except BackendError as error:
        advice = "Nothing was started; call train() again later." if error.retryable else "Nothing was started."
        raise saying(error, advice) from error


def saying(error: E, sentence: str) -> E:
    """The same error with one sentence more."""
    more = copy.copy(error)
    more.args = (f"{error} {sentence}",)
    return more


def _tell(retry: Retry) -> None:
    if retry.pause_seconds >= _WORTH_TELLING_SECONDS:
        _log.warning("%s Waiting %.0f s before asking again.", retry.error, retry.pause_seconds)
