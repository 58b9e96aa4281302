"""One job is followed to its end, through whatever the network and the host do meanwhile."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

from finetune_kit._clock import clock, using
from finetune_kit.backends import Event, JobState
from finetune_kit.errors import (
    AccessError,
    AuthenticationError,
    BackendError,
    HostReplyError,
    HostUnavailableError,
    JobFailedError,
    JobNotFoundError,
    ParameterError,
    QuotaError,
    RateLimitError,
    WaitTimeoutError,
)
from finetune_kit.following import Notice, Stuck, Trouble
from finetune_kit.job import FineTuneJob
from tests.following.timed_host import Course, Failing, TimedHost, Unhurried, usual


@pytest.fixture(autouse=True)
def timeless() -> Iterator[None]:
    """Hours pass in no time."""
    with using(Unhurried()):
        yield


def all_of(job: FineTuneJob, **settings: Any) -> list[Event]:
    return list(job.follow(**settings))


def all_of_async(job: FineTuneJob, **settings: Any) -> list[Event]:
    async def main() -> list[Event]:
        return [event async for event in job.follow_async(**settings)]

    return asyncio.run(main())


def wait(job: FineTuneJob, **settings: Any) -> FineTuneJob:
    return job.wait(**settings)


def wait_async(job: FineTuneJob, **settings: Any) -> FineTuneJob:
    return asyncio.run(job.wait_async(**settings))


Follow = Callable[..., list[Event]]
Wait = Callable[..., FineTuneJob]
both_follow = pytest.mark.parametrize("follow", [all_of, all_of_async])
both_wait = pytest.mark.parametrize("waiting", [wait, wait_async])


def ids(events: list[Event]) -> list[str]:
    return [event.id for event in events]


def expected(course: Course) -> list[str]:
    return [f"{course.id}-event-{number}" for number in range(len(course.event_times))]


@both_follow
def test_every_event_comes_once_and_in_order(follow: Follow) -> None:
    host = TimedHost([usual("a")])
    assert ids(follow(host.job_of("a"))) == expected(host.courses["a"])


@both_follow
def test_events_that_are_written_after_the_end_are_waited_for(follow: Follow) -> None:
    course = usual("a")
    course.last_late = 3.0
    host = TimedHost([course])
    assert ids(follow(host.job_of("a"))) == expected(course)


@both_follow
def test_nothing_is_missed_or_repeated_where_the_last_event_has_vanished(follow: Follow) -> None:
    host = TimedHost([usual("a")])
    host.forgotten_events = {f"a-event-{number}" for number in range(21)}
    assert ids(follow(host.job_of("a"))) == expected(host.courses["a"])


@both_follow
def test_another_process_goes_on_behind_an_event(follow: Follow) -> None:
    host = TimedHost([usual("a")])
    fifth = host.events("a") and all_of(host.job_of("a"))[5]
    assert isinstance(fifth, Event)
    for after in (fifth, fifth.id):
        assert ids(follow(host.job_of("a"), after=after)) == expected(host.courses["a"])[6:]
    host.forgotten_events = {fifth.id}
    assert ids(follow(host.job_of("a"), after=fifth)) == expected(host.courses["a"])[6:], "known by its time"


@both_follow
@pytest.mark.parametrize("what", ["job", "events"])
@pytest.mark.parametrize(
    "error",
    [
        HostUnavailableError("no answer"),
        HostUnavailableError("in trouble", status=503),
        HostReplyError("HTML"),
        RateLimitError("slow down", retry_after_seconds=30),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_never_ends_it_and_is_told(follow: Follow, what: str, error: BackendError) -> None:
    host = TimedHost([usual("a")])
    host.faults = [Failing(what, *[error] * 12)]
    told: list[Notice] = []
    assert ids(follow(host.job_of("a"), on_notice=told.append)) == expected(host.courses["a"])
    assert [notice.error for notice in told if isinstance(notice, Trouble)] == [error] * 12


@both_wait
def test_an_outage_of_a_night_is_waited_out_with_few_requests_and_lines(
    waiting: Wait, caplog: pytest.LogCaptureFixture
) -> None:
    host = TimedHost([usual("a")])

    def down(what: str, which: str) -> None:
        if 100 < host._now() < 30_000:
            raise HostUnavailableError("no answer")

    host.faults = [down]
    with caplog.at_level(logging.WARNING, "finetune_kit"):
        assert waiting(host.job_of("a")).state.status == "succeeded"
    assert 400 < len(host.requests) < 1100
    assert len(caplog.records) < 15


@both_wait
@pytest.mark.parametrize("seconds", [119, 121, 7200])
def test_a_pause_that_the_host_asks_for_is_obeyed(waiting: Wait, seconds: float) -> None:
    host = TimedHost([usual("a")])
    host.faults = [Failing("job", RateLimitError("slow down", retry_after_seconds=seconds))]
    waiting(host.job_of("a"))
    assert host.requests[1][0] - host.requests[0][0] >= seconds


@both_wait
@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (AuthenticationError("the key was revoked"), 3),
        (JobNotFoundError("no such job"), 3),
        (QuotaError("no money"), 1),
        (AccessError("not yours"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_waiting_does_not_change_ends_it(waiting: Wait, error: BackendError, asked: int) -> None:
    host = TimedHost([usual("a")])
    host.faults = [Failing("job", *[error] * 100)]
    with pytest.raises(type(error)) as raised:
        waiting(host.job_of("a"))
    assert raised.value is error
    assert len(host.requests) == asked


@both_follow
@pytest.mark.parametrize("error", [AuthenticationError("for a moment"), JobNotFoundError("not yet")])
def test_one_odd_refusal_is_not_believed(follow: Follow, error: BackendError) -> None:
    host = TimedHost([usual("a")])
    host.faults = [Failing("job", error, error)]
    assert ids(follow(host.job_of("a"))) == expected(host.courses["a"])


@both_follow
def test_a_host_that_does_not_tell_events_is_followed_by_its_states(
    follow: Follow, caplog: pytest.LogCaptureFixture
) -> None:
    host = TimedHost([usual("a")])
    host.faults = [Failing("events", *[JobNotFoundError("no such page")] * 100)]
    job = host.job_of("a")
    assert follow(job) == []
    assert job.state.status == "succeeded"
    assert "does not tell the events of a" in caplog.text


@both_wait
def test_an_unknown_status_is_a_live_one_and_told_once(waiting: Wait, caplog: pytest.LogCaptureFixture) -> None:
    course = Course("a", [(0, "queued"), (10, "moderation_checks"), (300, "succeeded")])
    assert waiting(TimedHost([course]).job_of("a")).state.status == "succeeded"
    assert caplog.text.count("moderation_checks") == 1


@both_wait
def test_a_failed_job_is_an_error(waiting: Wait) -> None:
    with pytest.raises(JobFailedError, match="a has failed"):
        waiting(TimedHost([Course("a", [(0, "queued"), (10, "failed")])]).job_of("a"))


@both_wait
@pytest.mark.parametrize("skew", [-86_400.0, 0.0, 86_400.0])
def test_standstill_is_told_and_told_more_seldom_the_longer_it_lasts(
    waiting: Wait, skew: float, caplog: pytest.LogCaptureFixture
) -> None:
    course = Course("a", [(0, "queued"), (60, "running"), (20_000, "succeeded")], [60.0, 300.0])
    told: list[Notice] = []
    waiting(TimedHost([course], skew=skew).job_of("a"), on_notice=told.append, stuck_after_seconds=1800)
    stuck = [notice for notice in told if isinstance(notice, Stuck)]
    assert len(stuck) == len(told) == 4
    for notice, least in zip(stuck, [1800, 3600, 7200, 14_400], strict=True):
        assert (notice.job_id, notice.status) == ("a", "running")
        assert least <= notice.idle_seconds < least + 1900
        assert notice.event_seconds >= notice.idle_seconds
    assert caplog.text.count("nothing has happened for") == 4


@pytest.mark.parametrize("waiting", [wait, all_of, all_of_async])
def test_a_job_that_tells_something_is_not_stuck(waiting: Wait) -> None:
    course = Course("a", [(0, "running"), (20_000, "succeeded")], [float(at) for at in range(0, 20_000, 1500)])
    told: list[Notice] = []
    waiting(TimedHost([course]).job_of("a"), on_notice=told.append, stuck_after_seconds=1800)
    assert told == []


def test_a_paused_job_is_not_stuck_and_nobody_need_be_told() -> None:
    told: list[Notice] = []
    course = Course("a", [(0, "paused"), (90_000, "running"), (90_060, "succeeded")])
    wait(TimedHost([course]).job_of("a"), on_notice=told.append)
    course = Course("a", [(0, "running"), (90_060, "succeeded")])
    wait(TimedHost([course]).job_of("a"), on_notice=told.append, stuck_after_seconds=None)
    assert told == []


@both_wait
def test_patience_ends_with_a_last_look(waiting: Wait) -> None:
    course = Course("a", [(0, "running"), (999.5, "succeeded")])
    assert waiting(TimedHost([course]).job_of("a"), timeout_seconds=1000).state.status == "succeeded"
    course = Course("a", [(0, "running"), (1100, "succeeded")])
    host = TimedHost([course])
    with pytest.raises(WaitTimeoutError, match="a is 'running' after 1000 s; it goes on"):
        waiting(host.job_of("a"), timeout_seconds=1000)
    assert host._now() < 1010


@both_wait
def test_patience_ends_also_while_the_host_is_away(waiting: Wait) -> None:
    host = TimedHost([usual("a")])
    host.faults = [Failing("job", *[RateLimitError("slow", retry_after_seconds=5000)] * 100)]
    with pytest.raises(WaitTimeoutError):
        waiting(host.job_of("a"), timeout_seconds=100)
    assert host._now() < 110


def test_looks_are_soon_at_first_and_then_few() -> None:
    host = TimedHost([Course("a", [(0, "running"), (7200, "succeeded")])])
    wait(host.job_of("a"))
    times = [at for at, what, _ in host.requests if what == "job"]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] < 5
    assert 17 < max(pauses) < 23
    assert len({round(pause, 3) for pause in pauses[10:]}) > 20, "no two alike"


class Jumping(Unhurried):
    """Its time of day can be set."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.mark.parametrize("jump", [-1e6, 28_800.0, 1e6])
def test_jumps_of_the_clock_and_nights_in_which_the_machine_slept_are_survived(jump: float) -> None:
    """Requests come neither in a burst nor after a wait of the jump's length."""
    with using(Jumping()):
        jumping = clock()
        assert isinstance(jumping, Jumping)
        host = TimedHost([usual("a")])
        seen: list[str] = []
        for event in host.job_of("a").follow():
            seen.append(event.id)
            if len(seen) == 5:
                jumping.ahead = jump
                host.begun += min(0, jump)  # the host's time goes on, whatever this machine believes
        assert seen == expected(host.courses["a"])
    assert len(host.requests) < 120


@pytest.mark.parametrize("seconds", [0, -1, True, "soon"])
def test_what_is_no_number_of_seconds_is_refused_at_once(seconds: float) -> None:
    host = TimedHost([usual("a")])
    with pytest.raises(ParameterError, match="stuck_after_seconds"):
        host.job_of("a").follow(stuck_after_seconds=seconds)
    with pytest.raises(ParameterError, match="timeout_seconds"):
        host.job_of("a").follow(timeout_seconds=-1)


def test_single_questions_are_asked_again_too() -> None:
    host = TimedHost([usual("a")])
    host.faults = [
        Failing("job", HostUnavailableError("no answer")),
        Failing("events", HostUnavailableError("no answer")),
    ]
    job = FineTuneJob.attach("a", host)
    assert isinstance(job.state, JobState)
    first = job.events()
    assert ids(first) == ["a-event-0"]
    assert job.events(after=first[0]) == job.events(after="a-event-0") == []
