"""Many jobs followed together, on one backend or on several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable, Iterator
from typing import NamedTuple

from finetune_kit.backends import Backend
from finetune_kit.errors import Detached
from finetune_kit.following import (
    Desk,
    News,
    OnNotice,
    Patience,
    Told,
    Watch,
    Wishes,
    detached,
    drive,
    drive_async,
    place_key,
    steps,
)
from finetune_kit.job import STUCK_AFTER_SECONDS, FineTuneJob, wishes


class Followed(NamedTuple):
    """One of the jobs that are followed, and what is new about it."""

    job: FineTuneJob
    news: News
    """An `Event`, a `StateChange`, or `Lost` where it cannot be followed any more."""


def follow(
    jobs: Iterable[FineTuneJob],
    *,
    events: bool = True,
    timeout_seconds: float | None = None,
    on_notice: OnNotice | None = None,
    stuck_after_seconds: float | None = STUCK_AFTER_SECONDS,
) -> Iterator[Followed]:
    """Each event and each change of status of all these jobs, once, until all of them have ended.

    They may run on several backends. Where a host lists its jobs, one request tells of a hundred, and none is asked
    more often than its profile allows. With `events=False` only changes of status are told, and far fewer requests
    made. A job's end is the last that is told of it.
    """
    crowd = _Crowd(jobs, wishes(on_notice, stuck_after_seconds, events=events), timeout_seconds)
    return (crowd.followed(told) for told in drive(crowd.steps, crowd.come_back))


def follow_async(
    jobs: Iterable[FineTuneJob],
    *,
    events: bool = True,
    timeout_seconds: float | None = None,
    on_notice: OnNotice | None = None,
    stuck_after_seconds: float | None = STUCK_AFTER_SECONDS,
) -> AsyncIterator[Followed]:
    """`follow` without blocking the event loop, for `async for`."""
    crowd = _Crowd(jobs, wishes(on_notice, stuck_after_seconds, events=events), timeout_seconds)
    return (crowd.followed(told) async for told in drive_async(crowd.steps, crowd.come_back))


class _Crowd:
    """The jobs by the watches that are kept over them; a job that is given twice is followed once."""

    def __init__(self, jobs: Iterable[FineTuneJob], wanted: Wishes, timeout_seconds: float | None) -> None:
        self._jobs: dict[int, FineTuneJob] = {}
        places: dict[Hashable, tuple[Backend, dict[str, Watch]]] = {}
        for job in jobs:
            _, watches = places.setdefault(place_key(job.backend), (job.backend, {}))
            if job.id not in watches:
                watches[job.id] = job.watch()
                self._jobs[id(watches[job.id])] = job
        desks = [Desk(backend, watches.values(), wanted) for backend, watches in places.values()]
        self.steps = steps(desks, Patience(timeout_seconds))

    def followed(self, told: Told) -> Followed:
        watch, news = told
        return Followed(self._jobs[id(watch)], news)

    def come_back(self) -> Detached:
        return detached([(job.id, job.backend) for job in self._jobs.values() if not job.state.finished])
