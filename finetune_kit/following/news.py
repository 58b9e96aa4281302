"""What following tells: events and changes to whoever iterates, trouble and standstill to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from finetune_kit.backends import Event, JobState
from finetune_kit.errors import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A job has another status than before; the last one of a job comes behind all of its events."""

    before: str
    state: JobState

    @property
    def ended(self) -> bool:
        """Whether nothing more will be told of this job."""
        return self.state.finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A job cannot be followed any more, and nothing more is told of it; whether it goes on is not known."""

    job_id: str
    error: BackendError
    """No such job, no access, no quota: what waiting does not change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """The host did not answer as it should; it is asked again, for as long as it takes."""

    host: str
    job_id: str | None
    """The job that was asked about; None where it was many."""
    error: BackendError
    attempt: int
    """How often in a row."""
    pause_seconds: float

    def __str__(self) -> str:
        what = self.job_id or "the jobs"
        return f"{self.host} did not tell about {what}: {self.error} Asking again in {self.pause_seconds:.0f} s."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Nothing has happened to a live job for long: no change, no event. It may still go on."""

    job_id: str
    host: str
    status: str
    idle_seconds: float
    """How long at least, on the host's clock where that is known."""
    event_seconds: float
    """The age of the last event, or of the job where there is none."""
    seconds_left: float | None
    """What the host estimates."""

    def __str__(self) -> str:
        return (
            f"{self.job_id} on {self.host} is {self.status!r}, and nothing has happened for {self.idle_seconds:.0f} s "
            f"(last event {self.event_seconds:.0f} s ago). It is followed on; cancel() ends it."
        )


News: TypeAlias = Event | StateChange | Lost
Notice: TypeAlias = Trouble | Stuck
OnNotice: TypeAlias = Callable[[Notice], None]
