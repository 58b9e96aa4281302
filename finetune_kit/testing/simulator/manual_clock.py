"""A clock that a test sets."""

from __future__ import annotations

import asyncio


class ManualClock:
    """Stands still until it is moved; whoever waits by it moves it.

    >>> clock = ManualClock()
    >>> clock.advance(3600)
    >>> clock.now()
    1800003600.0
    """

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._start = self._now = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since it was made."""
        return self._now - self._start

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass instead of waiting."""
        self._now += max(0.0, seconds)

    async def sleep_async(self, seconds: float) -> None:
        """Likewise; others get their turn."""
        self._now += max(0.0, seconds)
        await asyncio.sleep(0)
