"""What may be tried again is tried again, and never what costs money or cannot work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from finetune_kit._clock import FastClock, clock, using
from finetune_kit._retry import QUESTIONS, Retries, Retry, may_try_again, pause_before, retry_after
from finetune_kit.errors import (
    AuthenticationError,
    BackendError,
    HostReplyError,
    HostUnavailableError,
    JobNotFoundError,
    JobSlotsError,
    ModelClosedError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    TrainingNotAvailableError,
    UnclearOutcomeError,
)

AGAIN = [HostUnavailableError("down"), HostReplyError("html"), RateLimitError("slow"), JobSlotsError("full")]
NEVER = [
    QuotaError("no money"),
    AuthenticationError("no key"),
    RequestRefusedError("bad value"),
    TrainingNotAvailableError("closed"),
    ModelClosedError("closed"),
    JobNotFoundError("none"),
    UnclearOutcomeError("who knows"),
    BackendError("no"),
]


class Host:
    """Fails as told, then answers."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.asked = list(errors), 0

    def answer(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "yes"

    async def answer_async(self) -> str:
        return self.answer()


Call = Callable[[Retries, Host], str]


def in_sync(retries: Retries, host: Host) -> str:
    return retries.call(host.answer)


def in_async(retries: Retries, host: Host) -> str:
    async def main() -> str:
        return await retries.call_async(host.answer_async)

    return asyncio.run(main())


both = pytest.mark.parametrize("call", [in_sync, in_async])


@both
@pytest.mark.parametrize("error", AGAIN, ids=lambda error: type(error).__name__)
def test_what_may_pass_is_asked_again(call: Call, error: BackendError) -> None:
    host = Host(error, error)
    with using(FastClock(float("inf"))):
        assert call(Retries(), host) == "yes"
    assert host.asked == 3


@both
@pytest.mark.parametrize("error", [*NEVER, KeyboardInterrupt(), ValueError("a bug")], ids=lambda e: type(e).__name__)
def test_what_cannot_pass_is_asked_once(call: Call, error: BaseException) -> None:
    host = Host(error)
    with pytest.raises(type(error)) as raised:
        call(Retries(), host)
    assert raised.value is error
    assert host.asked == 1
    assert not may_try_again(error)


@both
def test_the_last_error_comes_out_when_the_attempts_are_used_up(call: Call) -> None:
    errors = [HostUnavailableError(f"down {number}") for number in range(9)]
    host = Host(*errors)
    with using(FastClock(float("inf"))), pytest.raises(HostUnavailableError, match="down 3"):
        call(Retries(attempts=4), host)
    assert host.asked == 4


@both
@pytest.mark.parametrize("seconds", [3.0, 121.0, 7200.0])
def test_a_pause_that_the_host_asks_for_is_obeyed_however_long(call: Call, seconds: float) -> None:
    host = Host(RateLimitError("slow", retry_after_seconds=seconds))
    with using(FastClock(float("inf"))):
        before = clock().monotonic()
        assert call(Retries(), host) == "yes"
        passed = clock().monotonic() - before
    assert seconds <= passed <= seconds + 5


@both
def test_a_deadline_that_the_next_attempt_would_miss_ends_it_at_once(call: Call) -> None:
    host = Host(HostUnavailableError("down", retry_after_seconds=600))
    with using(FastClock(float("inf"))):
        before = clock().monotonic()
        with pytest.raises(HostUnavailableError):
            call(Retries(attempts=None, deadline_seconds=60), host)
        assert clock().monotonic() - before < 60, "nobody waits for what cannot come in time"
    assert host.asked == 1


@both
def test_without_a_number_of_attempts_the_deadline_bounds_them(call: Call) -> None:
    host = Host(*[HostUnavailableError("down") for _ in range(1000)])
    with using(FastClock(float("inf"))):
        before = clock().monotonic()
        with pytest.raises(HostUnavailableError):
            call(Retries(attempts=None, deadline_seconds=600), host)
        assert 500 < clock().monotonic() - before <= 600
    assert 10 < host.asked < 40


def test_pauses_double_to_a_limit_and_are_not_all_alike() -> None:
    for attempt, longest in [(1, 1), (2, 2), (3, 4), (7, 60), (5000, 60)]:
        drawn = [pause_before(attempt) for _ in range(200)]
        assert longest / 2 <= min(drawn) < max(drawn) <= longest
        assert len(set(drawn)) > 100


def test_each_retry_is_told() -> None:
    told: list[Retry] = []
    error = RateLimitError("slow", retry_after_seconds=300)
    with using(FastClock(float("inf"))):
        Retries().call(Host(error, HostReplyError("html")).answer, on_retry=told.append)
    assert [one.attempt for one in told] == [1, 2]
    assert told[0].error is error
    assert told[0].pause_seconds >= 300


@pytest.mark.parametrize("seconds", [None, -5, float("nan"), "soon", object()])
def test_a_pause_that_is_none_is_none(seconds: object) -> None:
    error = RateLimitError("slow")
    error.__dict__["retry_after_seconds"] = seconds
    assert retry_after(error) == 0


def test_callers_may_say_themselves_what_is_tried_again() -> None:
    ask: Callable[[], Awaitable[str]] = Host(JobNotFoundError("not yet")).answer_async
    with using(FastClock(float("inf"))):
        patient = Retries(may_retry=lambda error: isinstance(error, JobNotFoundError))
        assert asyncio.run(_await(patient, ask)) == "yes"


async def _await(retries: Retries, ask: Callable[[], Awaitable[str]]) -> str:
    return await retries.call_async(ask)


def test_a_pause_until_the_end_of_the_calendar_is_one_that_a_system_can_sleep() -> None:
    error = RateLimitError("slow", retry_after_seconds=2.6e11)
    assert pause_before(1, error) < 9e9, "time.sleep refuses more"


def test_who_asks_one_question_hears_at_once_of_a_host_that_wants_to_be_left_alone_for_hours() -> None:
    host = Host(RateLimitError("slow", retry_after_seconds=7200))
    with using(FastClock(float("inf"))), pytest.raises(RateLimitError):
        QUESTIONS.call(host.answer)
    assert host.asked == 1
