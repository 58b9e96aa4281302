"""Following as a series of steps without I/O, and the two ways to take them: blocking, and in an event loop."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from finetune_kit._arguments import number
from finetune_kit._clock import clock
from finetune_kit.errors import BackendError, Detached, WaitTimeoutError
from finetune_kit.following.asks import Answer, Ask
from finetune_kit.following.desk import Desk, Told

_SLICE_SECONDS = 60.0
"""No longer sleep at once, so that a machine that was suspended is noticed."""
_JUMP_SECONDS = 60.0

_log = logging.getLogger("finetune_kit.following")


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Question:
    """Put this to the backend."""

    desk: Desk
    ask: Ask

    def put(self) -> Answer | BackendError:
        """The answer, or the error as one."""
        try:
            return self.ask.put(self.desk.backend)
        except BackendError as error:
            return error


Steps: TypeAlias = Generator[Pause | Question | Told, Answer | BackendError, None]


class Patience:
    """How long a caller waits; for ever where no number of seconds is given."""

    def __init__(self, seconds: float | None) -> None:
        self.seconds = math.inf if seconds is None else number("timeout_seconds", seconds, 0, math.inf)
        self.ends_at = clock().monotonic() + self.seconds


def steps(desks: Sequence[Desk], patience: Patience) -> Steps:
    """What to do, one after the other, until everything was told; `WaitTimeoutError` where that takes too long."""
    hurried, drift = False, _drift()
    while any(not desk.empty for desk in desks):
        pause = _SLICE_SECONDS
        for desk in desks:
            now = clock().monotonic()
            move = desk.next(now)
            if isinstance(move, float | int):
                pause = min(pause, move)
                continue
            pause = 0.0
            outcome = yield Question(desk, move)
            now = clock().monotonic()
            if isinstance(outcome, BackendError):
                yield from desk.failed(move, outcome, now)
            else:
                yield from desk.answered(move, outcome, now)
        left = patience.ends_at - clock().monotonic()
        if left <= 0 and not all(desk.empty for desk in desks):
            if hurried or all(desk.looked_since(patience.ends_at) for desk in desks):
                raise _timeout(desks, patience)
            hurried = True
            _hurry(desks)
        elif pause > 0:
            yield Pause(min(pause, left))
            if abs(_drift() - drift) > _JUMP_SECONDS:
                drift = _drift()
                _log.info("The clock has jumped, or this machine has slept: looking at the jobs now.")
                _hurry(desks)


def drive(steps: Steps, come_back: Callable[[], Detached]) -> Iterator[Told]:
    """Take the steps, blocking; Ctrl-C raises what `come_back` makes, which says how to."""
    outcome: Answer | BackendError = None
    with closing(steps):
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration:
                return
            outcome = None
            match step:
                case Pause(seconds):
                    with Detaching(come_back):
                        clock().sleep(seconds)
                case Question():
                    with Detaching(come_back):
                        outcome = step.put()
                case _:
                    yield step


async def drive_async(steps: Steps, come_back: Callable[[], Detached]) -> AsyncIterator[Told]:
    """Take the steps without blocking the event loop; where it is cancelled, the log says how to come back."""
    outcome: Answer | BackendError = None
    with closing(steps):
        while True:
            try:
                step = steps.send(outcome)
            except StopIteration:
                return
            outcome = None
            try:
                match step:
                    case Pause(seconds):
                        await clock().sleep_async(seconds)
                    case Question():
                        outcome = await asyncio.to_thread(step.put)
                    case _:
                        yield step
            except asyncio.CancelledError:
                _log.info("%s", come_back())
                raise


class Detaching:
    """Turns Ctrl-C into `Detached`, which says how to come back."""

    def __init__(self, come_back: Callable[[], Detached]) -> None:
        self._come_back = come_back

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and not isinstance(error, Detached):
            raise self._come_back() from None


def _drift() -> float:
    """How far the time of day is ahead of the time that has passed; changes where either jumps."""
    return clock().now() - clock().monotonic()


def _hurry(desks: Sequence[Desk]) -> None:
    for desk in desks:
        desk.hurry(clock().monotonic())


def _timeout(desks: Sequence[Desk], patience: Patience) -> WaitTimeoutError:
    watches = [watch for desk in desks for watch in desk.watches()]
    first = watches[0]
    if len(watches) == 1:
        return WaitTimeoutError(
            f"{first.id} is {first.state.status!r} after {patience.seconds:g} s; it goes on. Wait again, or cancel() "
            "it.",
            job_id=first.id,
        )
    return WaitTimeoutError(
        f"{len(watches)} jobs have not ended after {patience.seconds:g} s, {first.id} ({first.state.status!r}) among "
        "them; they go on. Follow them again."
    )
