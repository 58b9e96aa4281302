"""A wish is met in the middle of a step: what was done is saved, and the process is left."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from finetune_kit.backends.local import guard as module
from finetune_kit.backends.local.guard import Guard
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.process import Process
from finetune_kit.backends.local.store import Store
from tests.backends.local.runs import until


@dataclass
class LongStep:
    """A run in the middle of a step, or in the middle of changing its state."""

    rests: bool = True
    done: list[str] = field(default_factory=list[str])

    @contextmanager
    def at_rest(self, *, timeout_seconds: float) -> Generator[bool]:
        yield self.rests

    def save_state(self) -> None:
        self.done.append("saved")

    def forget_state(self) -> None:
        self.done.append("forgotten")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Home(tmp_path / "home"))


def in_hand(store: Store) -> str:
    job = store.add_job(model="tiny", spec=b"{}", first_events=())
    store.claim(most_attempts=3)
    return job


@pytest.mark.parametrize(
    ("wish", "rests", "status", "done"),
    [
        ("pause", True, "paused", ["saved"]),
        ("pause", False, "paused", []),
        ("cancel", True, "cancelled", ["forgotten"]),
        ("cancel", False, "cancelled", ["forgotten"]),
    ],
)
def test_a_wish_stops_a_long_step(wish: str, status: str, done: list[str], store: Store, *, rests: bool) -> None:
    job, run, left = in_hand(store), LongStep(rests), threading.Event()
    guard = Guard(store, job, leave=left.set)
    guard.run = run
    with guard.watching():
        {"pause": store.pause, "cancel": store.cancel}[wish](job)
        assert left.wait(30)
    assert store.job(job).status == status
    assert run.done[: len(done) or 1] == done


def test_a_wish_is_met_while_the_base_is_loading(store: Store) -> None:
    job, left = in_hand(store), threading.Event()
    with Guard(store, job, leave=left.set).watching():
        store.pause(job)
        assert left.wait(30)
    assert store.job(job).status == "paused"


def test_a_disk_that_is_full_keeps_no_pause_waiting(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: LongStep) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LongStep, "save_state", full)
    job, left = in_hand(store), threading.Event()
    guard = Guard(store, job, leave=left.set)
    guard.run = LongStep()
    with guard.watching():
        store.pause(job)
        assert left.wait(30)
    assert store.job(job).status == "paused"


def test_a_run_that_stops_by_itself_in_time_leaves_nothing_to_do(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE_SECONDS", 3600.0)
    job, left = in_hand(store), threading.Event()
    with Guard(store, job, leave=left.set).watching():
        store.pause(job)
        assert store.obey(job) == "paused"
    assert not left.is_set()


def test_a_worker_is_heard_of_while_it_works(store: Store) -> None:
    job = in_hand(store)
    store.works(Process(1, "mark"))
    first = store.worker()
    assert first is not None
    with Guard(store, job, leave=lambda: None).watching():
        until(lambda: (now := store.worker()) is not None and now[1] > first[1])


def test_a_wish_that_was_taken_back_changes_nothing(store: Store) -> None:
    job = in_hand(store)
    store.pause(job)
    store.resume(job)
    assert store.obey(job, go_on=True) == store.job(job).status == "validating_files"
