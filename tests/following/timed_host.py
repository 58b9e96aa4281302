"""A host whose jobs move by the package's clock, as was written down before; every request is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from finetune_kit._clock import FastClock, clock
from finetune_kit.backends import Event, FileState, JobPage, JobState
from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.errors import JobNotFoundError
from finetune_kit.hosts import HostProfile
from finetune_kit.job import FineTuneJob
from finetune_kit.testing import MemoryBackend


@dataclass
class Course:
    """One job: at which second after its creation it has which status, and tells what."""

    id: str
    statuses: list[tuple[float, str]]
    event_times: list[float] = field(default_factory=list)
    created: float = 0.0
    last_late: float = 0.0
    """By how many seconds its last event comes behind the end."""

    def status(self, now: float) -> str:
        return [status for at, status in self.statuses if at <= now - self.created][-1]


class Unhurried(FastClock):
    """Only waiting takes time, so that a busy machine changes nothing."""

    def __init__(self) -> None:
        super().__init__(float("inf"))

    def _passed(self) -> float:
        return self._slept


class TimedHost(MemoryBackend):
    """Speaks the protocol of a network host; `skew` is how far its clock is ahead of this machine's."""

    def __init__(self, courses: list[Course], *, requests_per_minute: int = 60, skew: float = 0.0) -> None:
        super().__init__()
        self.begun, self.skew = clock().now(), skew
        self.courses = {course.id: course for course in courses}
        self.requests: list[tuple[float, str, str]] = []
        self.faults: list[Callable[[str, str], None]] = []
        self.forgotten_events: set[str] = set()
        self._profile = MemoryBackend().profile.model_copy(
            update={"name": "timed", "openai_api": True, "requests_per_minute": requests_per_minute}
        )

    @property
    def profile(self) -> HostProfile:
        return self._profile

    def job_of(self, job_id: str) -> FineTuneJob:
        return FineTuneJob(self._state(self._course(job_id)), self)

    def everything(self) -> list[FineTuneJob]:
        return [self.job_of(job_id) for job_id in self.courses]

    def job(self, job_id: str) -> JobState:
        self._asked("job", job_id)
        return self._state(self._course(job_id))

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        self._asked("events", job_id)
        course, now = self._course(job_id), self._now()
        ended = [at for at, status in course.statuses if status in TERMINAL]
        events = [
            Event(
                id=f"{course.id}-event-{number}",
                created_at=self._stamp(course.created + at),
                level="info",
                message=f"Step {number}",
            )
            for number, at in enumerate(course.event_times)
            if course.created + at + (course.last_late if ended and at >= ended[0] else 0.0) <= now
        ]
        if after in self.forgotten_events:
            return events
        place = next((place for place, event in enumerate(events, 1) if event.id == after), 0)
        return events[place:]

    def file(self, file_id: str) -> FileState:
        self._asked("file", file_id)
        return super().file(file_id)

    def _now(self) -> float:
        return clock().now() - self.begun

    def _stamp(self, seconds: float) -> datetime:
        return datetime.fromtimestamp(self.begun + seconds + self.skew, UTC)

    def _course(self, job_id: str) -> Course:
        if job_id not in self.courses:
            raise JobNotFoundError(f"no job {job_id}", job_id=job_id)
        return self.courses[job_id]

    def _state(self, course: Course) -> JobState:
        status = course.status(self._now())
        ended = [at for at, status in course.statuses if status in TERMINAL]
        return JobState(
            id=course.id,
            status=status,
            model="memory-1",
            created_at=self._stamp(course.created),
            finished_at=self._stamp(course.created + ended[0]) if status in TERMINAL else None,
        )

    def _asked(self, what: str, which: str) -> None:
        self.requests.append((clock().monotonic(), what, which))
        for fault in list(self.faults):
            fault(what, which)


class ListingHost(TimedHost):
    """The same with pages of jobs."""

    def job_page(self, *, after: str | None = None, limit: int = 100) -> JobPage:
        self._asked("page", after or "")
        newest_first = sorted(self.courses.values(), key=lambda course: -course.created)
        ids = [course.id for course in newest_first]
        start = ids.index(after) + 1 if after in ids else 0
        some = newest_first[start : start + limit]
        return JobPage(jobs=tuple(map(self._state, some)), more=start + limit < len(ids))


class Failing:
    """Raises these errors at the next requests of a kind, one each."""

    def __init__(self, what: str, *errors: Exception) -> None:
        self.what, self.errors = what, list(errors)

    def __call__(self, what: str, which: str) -> None:
        if self.errors and what == self.what:
            raise self.errors.pop(0)


def usual(job_id: str, *, created: float = 0.0) -> Course:
    """Queued for a minute, running for nine, with an event every half a minute."""
    return Course(
        job_id,
        [(0, "validating_files"), (20, "queued"), (60, "running"), (600, "succeeded")],
        [float(at) for at in range(0, 601, 30)],
        created=created,
    )
