"""No event is missed and none repeated, whatever happens between two pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit import HostedBackend
from tests.backends.hosted.scripted_host import Asked, Says, ScriptedHost, answering

JOB = {"id": "ftjob-1", "status": "running", "model": "m", "created_at": 1}


def event(number: int, *, second: int | None = None) -> dict[str, object]:
    at = number if second is None else second
    return {"id": f"ev-{number}", "created_at": 1000 + at, "level": "info", "message": f"Step {number}", "data": None}


class Log:
    """A job's events at a host: `growth` more come in after each page."""

    def __init__(
        self, count: int, *, page: int, growth: int = 0, per_second: int = 1, newest_first: bool = True
    ) -> None:
        self.events = [event(number, second=number // per_second) for number in range(count)]
        self.page, self.growth, self.per_second, self.newest_first = page, growth, per_second, newest_first

    def __call__(self, asked: Asked) -> Says:
        if not asked.path.endswith("/events"):
            return Says(JOB)
        listed = self.events[::-1] if self.newest_first else list(self.events)
        after = asked.query.get("after", [""])[0]
        start = next((place for place, one in enumerate(listed, 1) if one["id"] == after), 0)
        says = Says({"data": listed[start : start + self.page], "has_more": start + self.page < len(listed)})
        more = range(len(self.events), len(self.events) + self.growth)
        self.events += [event(number, second=number // self.per_second) for number in more]
        return says

    @property
    def ids(self) -> list[object]:
        return [one["id"] for one in self.events]


def test_events_come_the_oldest_first_from_all_pages() -> None:
    log = Log(250, page=100)
    with answering(log) as (backend, _):
        assert [one.id for one in backend.events("ftjob-1")] == log.ids


def test_events_that_come_in_between_two_pages_are_found_the_next_time() -> None:
    log = Log(250, page=100, growth=30)
    with answering(log) as (backend, _):
        seen = [one.id for one in backend.events("ftjob-1")]
        for _ in range(4):
            seen += [one.id for one in backend.events("ftjob-1", after=seen[-1])]
        assert seen == log.ids[: len(seen)]
        assert len(seen) > 300


def test_what_is_new_takes_one_page() -> None:
    log = Log(1000, page=100)
    with answering(log) as (backend, host):
        assert [one.id for one in backend.events("ftjob-1", after="ev-989")] == log.ids[990:]
        assert len(host.asked) == 1


def test_a_host_that_lists_the_oldest_first_is_understood() -> None:
    log = Log(250, page=100, newest_first=False)
    with answering(log) as (backend, _):
        assert [one.id for one in backend.events("ftjob-1")] == log.ids
        assert [one.id for one in backend.events("ftjob-1", after="ev-120")] == log.ids[121:]


def test_an_event_that_is_gone_at_the_host_gives_all_there_are() -> None:
    log = Log(5, page=100)
    with answering(log) as (backend, _):
        assert [one.id for one in backend.events("ftjob-1", after="ev-gone")] == log.ids


def test_a_host_that_repeats_its_page_for_ever_is_left() -> None:
    page = Says({"data": [event(2), event(1)], "has_more": True})
    with answering(page) as (backend, host):
        host.answer = lambda asked: page if asked.path.endswith("/events") else Says(JOB)
        assert [one.id for one in backend.events("ftjob-1")] == ["ev-1", "ev-2"]


@pytest.fixture(scope="module")
def standing() -> Iterator[tuple[HostedBackend, ScriptedHost]]:
    """One host for many examples."""
    with answering(Says(JOB)) as both:
        yield both


@settings(max_examples=15)
@given(
    count=st.integers(0, 25),
    page=st.integers(2, 12),
    growth=st.integers(0, 3),
    per_second=st.integers(1, 5),
    looks=st.integers(1, 4),
)
def test_any_series_of_looks_sees_each_event_once(
    standing: tuple[HostedBackend, ScriptedHost], count: int, page: int, growth: int, per_second: int, looks: int
) -> None:
    backend, host = standing
    log = Log(count, page=page, growth=min(growth, page - 1), per_second=per_second)
    host.answer = log
    seen: list[str] = []
    for _ in range(looks):
        seen += [one.id for one in backend.events("ftjob-1", after=seen[-1] if seen else None)]
    assert seen == log.ids[: len(seen)]
    assert len(seen) >= count


def test_no_event_of_a_shuffled_page_is_missed() -> None:
    listed = [event(number) for number in (3, 7, 1, 6, 2, 5, 4)]
    with answering(lambda asked: Says({"data": listed} if asked.path.endswith("/events") else JOB)) as (backend, _):
        assert [one.id for one in backend.events("ftjob-1")] == [f"ev-{number}" for number in range(1, 8)]
        assert {"ev-5", "ev-6", "ev-7"} <= {one.id for one in backend.events("ftjob-1", after="ev-4")}


def test_no_event_is_missed_where_the_hosts_clock_was_set_back() -> None:
    listed = [event(1, second=100), event(2, second=101)]
    with answering(lambda asked: Says({"data": listed[::-1]} if asked.path.endswith("/events") else JOB)) as both:
        backend, _ = both
        seen = [one.id for one in backend.events("ftjob-1")]
        listed.append(event(3, second=5))
        assert "ev-3" in [one.id for one in backend.events("ftjob-1", after=seen[-1])]
