"""The one clock and the one way to wait, so that tests and simulations can let hours pass in seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Seconds since 1970, as this machine believes."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after so long."""
        ...

    async def sleep_async(self, seconds: float) -> None:
        """The same without blocking the event loop."""
        ...


class SystemClock:
    """The machine's."""

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Wait without blocking."""
        await asyncio.sleep(seconds)


class FastClock:
    """Runs `factor` times as fast as the machine's from the moment it is made; with infinity, waiting takes no time.

    It begins at `start`, in seconds since 1970, by default at the machine's time.
    """

    def __init__(self, factor: float, *, start: float | None = None) -> None:
        self._factor = factor
        self._wall, self._start = time.time() if start is None else start, time.monotonic()
        self._slept = 0.0

    def now(self) -> float:
        """Seconds since 1970, had time passed so fast."""
        return self._wall + self._passed()

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return self._start + self._passed()

    def sleep(self, seconds: float) -> None:
        """Wait `seconds` of this clock."""
        time.sleep(self._real(seconds))

    async def sleep_async(self, seconds: float) -> None:
        """Wait without blocking."""
        await asyncio.sleep(self._real(seconds))

    def _passed(self) -> float:
        real = time.monotonic() - self._start
        return self._slept + (real if self._factor == float("inf") else real * self._factor)

    def _real(self, seconds: float) -> float:
        if self._factor != float("inf"):
            return seconds / self._factor
        self._slept += seconds
        return 0.0


class _Current:
    clock: Clock = SystemClock()


def clock() -> Clock:
    """The clock in use, in all threads."""
    return _Current.clock


@contextmanager
def using(other: Clock) -> Generator[None]:
    """Use another clock for a while, in all threads."""
    before, _Current.clock = _Current.clock, other
    try:
        yield
    finally:
        _Current.clock = before
