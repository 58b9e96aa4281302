"""A few of the seeded runs of `python -m tests.fault_injection`; thousands of them take a while."""

from __future__ import annotations

import os

import pytest

from tests.fault_injection.plans import planned
from tests.fault_injection.run import run

pytest.importorskip("uvicorn", reason="the simulated host needs the extra server")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="processes are killed as POSIX does")

SEEDS = range(40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_lost_doubled_missed_repeated_or_told(seed: int) -> None:
    report = run(seed)
    assert report.failures == [], report.said


def test_the_runs_differ_and_are_decided_by_their_seeds() -> None:
    plans = [planned(seed) for seed in SEEDS]
    assert plans == [planned(seed) for seed in SEEDS]
    assert len({repr(plan.faults) for plan in plans}) > 20
    assert sum(plan.by_signal for plan in plans) == 2


def test_a_launch_that_asks_again_without_looking_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_kit.launching.lookup.LookUp.now", lambda *_: [])
    failures = [failure for seed in range(1, 30) for failure in run(seed).failures]
    assert any(failure.startswith("doubled") for failure in failures)


def test_a_ledger_that_forgets_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_kit.ledger.intents.Intents.of_fingerprint", lambda *_: [])
    failures = [failure for seed in range(1, 30) for failure in run(seed).failures]
    assert any(failure.startswith("doubled") for failure in failures)
