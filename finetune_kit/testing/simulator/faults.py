"""Faults on a script: which requests they hit, and what happens then."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeAlias, get_args

from pydantic import JsonValue  # the one that pydantic can check

from finetune_kit.errors import ParameterError

Kind: TypeAlias = Literal[
    "rate_limit",
    "quota",
    "error",
    "wrong_key",
    "training_not_available",
    "slow",
    "no_answer",
    "cut",
    "cut_upload",
    "cut_answer",
    "html",
    "half_json",
    "array",
    "change",
    "repeat_items",
    "shuffle_items",
    "damage_content",
    "stuck",
    "late_listing",
    "clock_skew",
]

SILENT: frozenset[Kind] = frozenset({"stuck", "late_listing", "clock_skew"})
"""The request is answered as ever; something is wrong with what it leads to."""
_REFUSING: frozenset[Kind] = frozenset(
    {"rate_limit", "quota", "error", "wrong_key", "training_not_available", "cut", "cut_upload"}
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and when. See docs/simulator.md for each kind.

    >>> Fault("error", "POST /fine_tuning/jobs", status=503, takes_effect=True)  # created, and nobody is told
    >>> Fault("rate_limit", "GET /fine_tuning/jobs/**", nth=3, times=2, retry_after="7200")
    """

    kind: Kind
    on: str = "* **"
    """A method and a path below the base URL; `*` stands for one part of it, `**` for any number."""
    nth: int = 1
    """The first matching request that it hits, from 1."""
    times: int | None = 1
    """How many it hits from then on; None is for ever."""
    probability: float = 1.0
    """Of hitting each of those, drawn by the simulator's seed; a request that is spared is not counted as hit."""
    takes_effect: bool | None = None
    """Whether the host does what it was asked all the same; by default where the kind spoils only the answer."""
    status: int = 500
    """Of an `error`."""
    retry_after: str | None = None
    """The header `Retry-After` as it stands: seconds, or a date."""
    retry_after_ms: str | None = None
    seconds: float = 0.0
    """How long `slow` waits, by how much the clock goes wrong, how long a job stays unlisted."""
    after_bytes: int = 0
    """Of the body or the answer that get through before a cut."""
    fields: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """What `change` puts into the answer, and into each object of a list."""
    without: tuple[str, ...] = ()
    """What `change` takes out of it."""
    at: str = "queued"
    """The status that a `stuck` job never leaves."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ParameterError(f"there is no fault {self.kind!r}; there are {', '.join(get_args(Kind))}.")
        if len(self.on.split()) != 2:
            raise ParameterError(f"on={self.on!r} is no method and path, such as 'POST /fine_tuning/jobs'.")
        if self.nth < 1 or (self.times is not None and self.times < 1) or not 0 <= self.probability <= 1:
            raise ParameterError("a fault's nth and times count from 1, and its probability lies from 0 to 1.")

    @property
    def has_effect(self) -> bool:
        """Whether the host does what it was asked."""
        return self.kind not in _REFUSING if self.takes_effect is None else self.takes_effect

    def matches(self, method: str, path: str) -> bool:
        """Whether a request is one of those that it may hit."""
        wanted, pattern = self.on.split()
        return wanted in ("*", method) and _expression(pattern).fullmatch(path) is not None


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    hit: int = 0

    @property
    def spent(self) -> bool:
        return self.fault.times is not None and self.hit >= self.fault.times


class FaultScript:
    """The faults of one host; the order in which they were added decides where two hit the same request."""

    def __init__(self, faults: tuple[Fault, ...] = (), *, seed: int = 0) -> None:
        self._random = random.Random(f"faults {seed}")
        self._lock = threading.Lock()
        self._armed = [_Armed(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """From the next request on."""
        with self._lock:
            self._armed += [_Armed(fault) for fault in faults]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._armed.clear()

    @property
    def pending(self) -> list[Fault]:
        """Those that may still hit."""
        return [armed.fault for armed in self._armed if not armed.spent]

    def __iter__(self) -> Iterator[Fault]:
        return iter([armed.fault for armed in self._armed])

    def __len__(self) -> int:
        return len(self._armed)

    def hitting(self, method: str, path: str) -> list[Fault]:
        """What happens to this request: at most one fault that shows in the answer, and any number that do not."""
        with self._lock:
            found: list[Fault] = []
            for armed in self._armed:
                fault = armed.fault
                taken = fault.kind not in SILENT and any(other.kind not in SILENT for other in found)
                if taken or armed.spent or not fault.matches(method, path):
                    continue
                armed.seen += 1
                if armed.seen >= fault.nth and (fault.probability >= 1 or self._random.random() < fault.probability):
                    armed.hit += 1
                    found.append(fault)
            return found
