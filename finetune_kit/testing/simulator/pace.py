"""How long things take on the simulated host."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Seconds by the host's clock; infinity means that only `advance` and `finish` move it."""

    processing_seconds: float = 0.0
    """From the end of an upload until the file can be used."""
    validating_seconds: float = 0.05
    queued_seconds: float = 0.05
    running_seconds: float = 0.2
    pausing_seconds: float = 0.0
    """Between the request for a pause and the pause."""

    @classmethod
    def by_hand(cls) -> Pace:
        """Nothing moves by itself."""
        return cls(validating_seconds=inf, queued_seconds=inf, running_seconds=inf)

    @classmethod
    def lifelike(cls) -> Pace:
        """As on a quiet day: seconds for a file, two minutes in the queue, a quarter of an hour of training."""
        return cls(
            processing_seconds=3, validating_seconds=45, queued_seconds=120, running_seconds=900, pausing_seconds=20
        )
