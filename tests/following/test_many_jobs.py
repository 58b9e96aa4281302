"""Many jobs are followed together: by pages where a host has them, within its limit, each told once."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import finetune_kit
from finetune_kit._clock import using
from finetune_kit.backends import Event, JobPage
from finetune_kit.errors import (
    AuthenticationError,
    Detached,
    HostReplyError,
    HostUnavailableError,
    JobNotFoundError,
    RequestRefusedError,
    WaitTimeoutError,
)
from finetune_kit.following import Lost, StateChange
from finetune_kit.job import FineTuneJob
from finetune_kit.together import Followed
from tests.following.timed_host import Course, Failing, ListingHost, TimedHost, Unhurried, usual


@pytest.fixture(autouse=True)
def timeless() -> Iterator[None]:
    """Hours pass in no time."""
    with using(Unhurried()):
        yield


def in_sync(jobs: list[FineTuneJob], **settings: Any) -> list[Followed]:
    return list(finetune_kit.follow(jobs, **settings))


def in_async(jobs: list[FineTuneJob], **settings: Any) -> list[Followed]:
    async def main() -> list[Followed]:
        return [one async for one in finetune_kit.follow_async(jobs, **settings)]

    return asyncio.run(main())


Follow = Callable[..., list[Followed]]
both = pytest.mark.parametrize("follow", [in_sync, in_async])
hosts = pytest.mark.parametrize("kind", [TimedHost, ListingHost])


def courses(number: int) -> list[Course]:
    return [usual(f"job-{place}", created=-float(place % 300)) for place in range(number)]


def check_told(followed: list[Followed], host: TimedHost) -> None:
    """Each event of each job once, in order, and its end behind them."""
    events: dict[str, list[str]] = defaultdict(list)
    ended: Counter[str] = Counter()
    for job, news in followed:
        assert not ended[job.id]
        if isinstance(news, Event):
            events[job.id].append(news.id)
        elif isinstance(news, StateChange):
            ended[job.id] += news.ended
            assert news.state.id == job.id
    for course in host.courses.values():
        assert events[course.id] == [f"{course.id}-event-{number}" for number in range(len(course.event_times))]
        assert ended[course.id] == 1


def check_rate(host: TimedHost) -> None:
    times = [at for at, _, _ in host.requests]
    limit = host.profile.requests_per_minute
    for place, at in enumerate(times[limit:]):
        assert at - times[place] >= 60, f"{limit + 1} requests within {at - times[place]} s"


@both
@hosts
def test_each_event_of_each_job_is_told_once_and_its_end_last(follow: Follow, kind: type[TimedHost]) -> None:
    host = kind(courses(40), requests_per_minute=120)
    jobs = host.everything()
    followed = follow(jobs)
    check_told(followed, host)
    check_rate(host)
    assert all(job.state.status == "succeeded" for job in jobs)
    assert {id(one.job) for one in followed} == {id(job) for job in jobs}, "the caller's own objects"


def test_a_thousand_jobs_take_few_requests_where_only_their_ends_are_asked_for() -> None:
    host = ListingHost(courses(1000))
    followed = in_sync(host.everything(), events=False)
    assert sum(isinstance(news, StateChange) and news.ended for _, news in followed) == 1000
    assert {what for _, what, _ in host.requests} == {"page"}
    assert len(host.requests) < 300
    check_rate(host)


def test_jobs_that_are_gone_from_the_list_are_asked_for_one_by_one() -> None:
    class Forgetful(ListingHost):
        def job_page(self, *, after: str | None = None, limit: int = 100) -> JobPage:
            page = super().job_page(after=after, limit=limit)
            return JobPage(jobs=tuple(job for job in page.jobs if job.id != "job-7"), more=page.more)

    host = Forgetful(courses(20))
    check_told(in_sync(host.everything()), host)


@pytest.mark.parametrize("lie", ["repeats", "endless", "empty"])
def test_pages_that_lie_end_no_following(lie: str) -> None:
    class Lying(ListingHost):
        def job_page(self, *, after: str | None = None, limit: int = 100) -> JobPage:
            page = super().job_page(after=None if lie == "repeats" else after, limit=5)
            return JobPage(jobs=() if lie == "empty" else page.jobs, more=True)

    host = Lying(courses(20), requests_per_minute=600)
    check_told(in_sync(host.everything()), host)


def test_a_host_that_lists_no_jobs_after_all_is_asked_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    host = ListingHost(courses(6))
    host.faults = [Failing("page", *[RequestRefusedError("no such thing")] * 9)]
    check_told(in_sync(host.everything()), host)
    assert [what for _, what, _ in host.requests].count("page") == 1
    assert "does not list its jobs" in caplog.text


@both
def test_a_job_that_is_gone_is_lost_and_the_others_go_on(follow: Follow) -> None:
    host = TimedHost(courses(5))
    jobs = host.everything()
    gone = host.courses.pop("job-3")
    followed = follow(jobs)
    [lost] = [news for _, news in followed if isinstance(news, Lost)]
    assert (lost.job_id, type(lost.error)) == (gone.id, JobNotFoundError)
    check_told([one for one in followed if one.job.id != gone.id], host)


def test_a_revoked_key_loses_the_jobs_of_its_host_only() -> None:
    good, bad = TimedHost(courses(2)), ListingHost(courses(9))
    bad.faults = [Failing("page", *[AuthenticationError("revoked")] * 99)]
    followed = in_sync([*good.everything(), *bad.everything()])
    assert sum(isinstance(news, Lost) for _, news in followed) == 9
    check_told([one for one in followed if one.job.backend is good], good)


def test_a_job_whose_events_break_the_host_holds_up_no_other() -> None:
    host = ListingHost(courses(10), requests_per_minute=600)

    def broken(what: str, which: str) -> None:
        if (what, which) == ("events", "job-4") and host._now() < 5000:
            raise HostReplyError("half JSON")

    host.faults = [broken]
    followed = in_sync(host.everything())
    check_told(followed, host)
    held_up = [place for place, (job, news) in enumerate(followed) if job.id == "job-4" and isinstance(news, Event)]
    assert max(place for place, (job, _) in enumerate(followed) if job.id != "job-4") < min(held_up)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_missed_or_repeated_whatever_fails(seed: int) -> None:
    import random

    chance = random.Random(seed)
    host = ListingHost(courses(25), requests_per_minute=300)
    errors = [HostUnavailableError("away"), HostReplyError("HTML"), HostUnavailableError("busy", status=500)]

    def faults(what: str, which: str) -> None:
        if chance.random() < 0.3:
            raise chance.choice(errors)

    host.faults = [faults]
    host.forgotten_events = {f"job-{chance.randrange(25)}-event-{chance.randrange(21)}" for _ in range(100)}
    check_told(in_sync(host.everything()), host)
    check_rate(host)


def test_one_job_twice_is_told_once_and_no_jobs_are_nothing() -> None:
    host = TimedHost([usual("a")])
    check_told(in_sync([host.job_of("a"), host.job_of("a")]), host)
    assert in_sync([]) == []


def test_jobs_that_have_ended_before_are_told_from_the_start() -> None:
    host = TimedHost([usual("a", created=-10_000)])
    check_told(in_sync(host.everything()), host)


def test_patience_ends_for_many() -> None:
    host = ListingHost(courses(30))
    with pytest.raises(WaitTimeoutError, match="30 jobs have not ended after 60 s"):
        in_sync(host.everything(), timeout_seconds=60)


def test_control_c_tells_how_to_come_back_to_many() -> None:
    host = TimedHost(courses(5))

    def interrupt(what: str, which: str) -> None:
        raise KeyboardInterrupt

    host.faults = [interrupt]
    with pytest.raises(Detached, match=r'5 jobs go on.*FineTuneJob.attach\("job-0"\).* and 2 more'):
        in_sync(host.everything())


def test_a_caller_that_stops_is_told_the_last_event_again_rather_than_never(monkeypatch: pytest.MonkeyPatch) -> None:
    remembered: list[str] = []
    monkeypatch.setattr(
        "finetune_kit.remembering.told", lambda backend, job_id, *, event_id: remembered.append(event_id)
    )
    host = TimedHost([usual("a", created=-10_000)])
    for number, _ in enumerate(host.job_of("a").follow()):
        if number == 3:
            break
    assert remembered == ["a-event-2"]
