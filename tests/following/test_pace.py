"""No minute sees more requests than a host allows, whatever the clock does."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.backends import HostedBackend
from finetune_kit.following.pace import Looks, Pace, pace_of
from finetune_kit.hosts import host_profile
from finetune_kit.testing import MemoryBackend


@given(
    limit=st.integers(1, 600),
    gaps=st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.1, 1.0, 7.0, 61.0, 1e6]), min_size=50, max_size=400),
)
def test_no_minute_sees_more_than_the_limit(limit: int, gaps: list[float]) -> None:
    pace, now, sent = Pace(limit), 0.0, list[float]()
    for gap in gaps:
        now += gap
        wait = pace.take(now)
        if wait:
            now += wait
            assert pace.take(now) == 0, "what was said to be enough is enough"
        sent.append(now)
    for place, at in enumerate(sent[limit:]):
        assert at - sent[place] >= 60 - 1e-6


def test_all_of_the_limit_can_be_used() -> None:
    pace, now, sent = Pace(60), 0.0, 0
    while now < 6000:
        wait = pace.take(now)
        sent += wait == 0
        now += wait
    assert sent >= 52 * 100


def test_what_went_out_besides_is_waited_for() -> None:
    pace = Pace(60)
    assert pace.take(0.0) == 0
    pace.spent(60, 0.0)
    assert 54 < pace.take(0.0) < 70
    assert pace.take(70.0) == 0


def test_a_clock_that_goes_back_stops_nothing() -> None:
    pace = Pace(60)
    for _ in range(6):
        assert pace.take(1e9) == 0
    assert pace.take(5.0) < 8


def test_threads_on_one_backend_share_its_limit() -> None:
    backend = MemoryBackend()
    pace = pace_of(backend)
    assert pace_of(backend) is pace
    assert pace_of(MemoryBackend()) is not pace
    one, other, stranger = (HostedBackend(api_key=f"sk-not-a-real-key-{key}") for key in ("a", "a", "b"))
    shared = pace_of(one)
    assert pace_of(other) is shared, "the same account"
    assert pace_of(stranger) is not shared
    pace, taken = Pace(100), list[float]()
    threads = [threading.Thread(target=lambda: taken.extend(pace.take(1.0) for _ in range(50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(wait == 0 for wait in taken) == 10


@pytest.mark.parametrize(("host", "first", "longest"), [("local", 0.05, 0.5), ("openai", 2.0, 20.0)])
def test_looks_begin_soon_and_become_few(host: str, first: float, longest: float) -> None:
    looks = Looks.at(host_profile(host))
    assert first * 0.9 <= looks.after(0) <= first * 1.1
    assert longest * 0.9 <= looks.after(10_000) <= longest * 1.1
