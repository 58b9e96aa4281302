"""What was asked of the simulated host."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from finetune_kit.testing.simulator.faults import Kind

_NAMED = re.compile(r"/(files|jobs|uploads|models|deployments)/(?!$)[^/]+")
_ID = r"/\1/{id}"
_MOST_KEPT = 100_000


@dataclass(slots=True, kw_only=True)
class RecordedRequest:
    """One request, without its headers and its body: no key is ever in it."""

    method: str
    path: str
    """Below the base URL."""
    query: str
    at: float
    """Seconds since 1970 by the host's clock."""
    status: int | None = None
    """What was answered; None where nothing was."""
    faults: tuple[Kind, ...] = ()
    """Which hit it."""

    @property
    def route(self) -> str:
        """Method and path, with `{id}` for what names one thing."""
        return f"{self.method} {_NAMED.sub(_ID, self.path)}"


@dataclass(slots=True)
class RequestLog:
    """The last hundred thousand requests, and how many there were of each kind in all."""

    counts: Counter[str] = field(default_factory=Counter[str])
    _kept: deque[RecordedRequest] = field(default_factory=lambda: deque[RecordedRequest](maxlen=_MOST_KEPT))

    def add(self, request: RecordedRequest) -> RecordedRequest:
        """One that has just arrived."""
        self.counts[request.route] += 1
        self._kept.append(request)
        return request

    def clear(self) -> None:
        """Begin anew."""
        self.counts.clear()
        self._kept.clear()

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(list(self._kept))

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, place: int) -> RecordedRequest:
        return self._kept[place]
