"""How often a host is asked: within its limit for each minute, and the less often the less there is to tell."""

from __future__ import annotations

import random
import threading
from collections.abc import Hashable
from dataclasses import dataclass
from weakref import WeakValueDictionary

from finetune_kit.backends import Backend
from finetune_kit.hosts import HostProfile

_MINUTE = 60.0
_SPREAD = 0.1
_KEPT = 0.97  # requests are under way for unequal times, and come closer together than they went out
_MOST_DEBT = 600.0


class Pace:
    """Lets at most so many requests through in any minute, a tenth of them in one go.

    Saves nothing up: after a night in which the machine slept, no more than that tenth goes out at once.
    """

    def __init__(self, requests_per_minute: int) -> None:
        allowed = _KEPT * requests_per_minute
        burst = max(1, requests_per_minute // 10)
        self._interval = _MINUTE / (allowed - burst if burst > 1 else allowed)
        self._span = burst * self._interval
        self._full_at = float("-inf")
        self._lock = threading.Lock()

    def take(self, now: float) -> float:
        """0 where a request may go out now, which counts it; else after how many seconds to ask again."""
        with self._lock:
            full_at = max(self._full_at, now)
            if full_at > now + self._span + _MOST_DEBT:  # the clock has gone back
                full_at = now
            early = full_at + self._interval - self._span - now
            if early > 1e-6:
                return early
            self._full_at = full_at + self._interval
            return 0.0

    def spent(self, requests: int, now: float) -> None:
        """Count what went out besides, for an answer that took more than one request."""
        with self._lock:
            self._full_at = min(max(self._full_at, now) + requests * self._interval, now + self._span + _MOST_DEBT)


_paces: WeakValueDictionary[Hashable, Pace] = WeakValueDictionary()
_paces_lock = threading.Lock()


def place_key(backend: Backend) -> Hashable:
    """The same for all backends that ask the same host by the same account."""
    account = backend.account
    return id(backend) if account is None else (backend.profile.name, account)


def pace_of(backend: Backend) -> Pace:
    """The one of this account there: a thousand threads that wait for jobs of it stay within its limit together."""
    key = place_key(backend)
    with _paces_lock:
        pace = _paces.get(key)
        if pace is None:
            pace = _paces[key] = Pace(backend.profile.requests_per_minute)
        return pace


@dataclass(frozen=True, slots=True)
class Looks:
    """Seconds between two looks: the first soon, so that a short job is not waited for longer than it takes."""

    first: float
    longest: float

    @classmethod
    def at(cls, profile: HostProfile) -> Looks:
        """Seconds on a network, fractions of one on this machine; each look is up to two requests."""
        if profile.runs_jobs:
            return cls(2.0, 20.0)
        request = _MINUTE / profile.requests_per_minute
        return cls(max(0.05, request), max(0.5, 2.5 * request))

    def after(self, quiet: int) -> float:
        """The pause after `quiet` looks in a row that told nothing new; never twice the same."""
        pause = min(self.first * 2.0 ** min(quiet, 30), self.longest)
        return pause * random.uniform(1 - _SPREAD, 1 + _SPREAD)
