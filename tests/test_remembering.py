"""Jobs and files are remembered for accounts that outlive an object, and for no others; a job never suffers from it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_kit import Dataset, remembering
from finetune_kit.backends import JobState
from finetune_kit.errors import JobNotFinishedError, UnknownFileError
from finetune_kit.ledger import Intent, Ledger, Place
from finetune_kit.remembering import delete_files, last_told, let_go, place_of, saw, settle_ends, told
from finetune_kit.testing import MemoryBackend

PLACE = Place(host="memory", account="mine")


def durable() -> MemoryBackend:
    return MemoryBackend(account="mine")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def finished(backend: MemoryBackend) -> JobState:
    rows = [(f"Where is parcel {number}?", "track") for number in range(20)]
    split = Dataset.from_records(rows).split(0.8)
    return split.train(backend=backend).wait().state


def intend(state: JobState, token: str = "t") -> None:
    intent = Intent(
        token=token,
        fingerprint=token,
        place=PLACE,
        requested_model="m",
        model="m",
        method="supervised",
        training_file=state.training_file or "",
        validation_file=state.validation_file,
        created_at=1.0,
    )
    Ledger().intents.add(intent)
    Ledger().intents.started(intent, job_id=state.id if token == "t" else token, status="running")


def test_nothing_is_remembered_of_what_vanishes_with_its_object(home: Path) -> None:
    backend = MemoryBackend()
    state = finished(backend)
    assert place_of(backend) is None
    saw(backend, state)
    told(backend, state.id, event_id="e")
    assert last_told(backend, state.id) is None
    assert not (home / "ledger.sqlite3").exists()


def test_what_is_seen_of_a_job_is_written_down() -> None:
    backend = durable()
    state = finished(backend)
    intend(state, "t")
    saw(backend, state, told_end=False)
    told(backend, state.id, event_id="ftevent-3")
    [found] = [one for one in Ledger().intents.all() if one.token == "t"]
    assert (found.status, found.fine_tuned_model, found.end_seen_at) == ("succeeded", state.fine_tuned_model, None)
    assert last_told(backend, state.id) == "ftevent-3"
    saw(backend, state)
    assert end_seen() is False
    settle_ends()
    assert end_seen() is True


PROCESS = """
import os, sys
from finetune_kit.testing import MemoryBackend
from tests.test_remembering import finished
finished(MemoryBackend(account="mine"))
if sys.argv[1] == "killed":
    os.kill(os.getpid(), 9)
if sys.argv[1] == "raises":
    raise RuntimeError
"""


@pytest.mark.parametrize("how", ["ends", "raises", "killed"])
def test_a_success_counts_as_seen_when_the_process_has_ended_well(how: str) -> None:
    root = Path(__file__).parent.parent
    subprocess.run([sys.executable, "-c", PROCESS, how], cwd=root, check=False, capture_output=True)
    [found] = Ledger().intents.all()
    assert found.status == "succeeded"
    assert (found.end_seen_at is not None) is (how == "ends")


def test_a_failure_counts_as_seen_at_once() -> None:
    backend = durable()
    state = replace(finished(backend), status="failed")
    intend(state)
    saw(backend, state)
    assert end_seen() is True


def end_seen() -> bool:
    return next(one for one in Ledger().intents.all() if one.token == "t").end_seen_at is not None


def test_a_job_that_is_given_up_counts_as_seen_to_its_end() -> None:
    backend = durable()
    state = finished(backend)
    intend(state)
    let_go(backend, state.id)
    assert next(one for one in Ledger().intents.all() if one.token == "t").end_seen_at is not None


def test_a_ledger_that_cannot_be_written_stops_no_job(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    backend = durable()
    state = finished(backend)
    home.mkdir(exist_ok=True)
    (home / "ledger.sqlite3").write_bytes(b"no database" * 100)
    saw(backend, state)
    assert "The job goes on" in caplog.text


def test_files_are_deleted_when_nobody_reads_them_any_more() -> None:
    backend = durable()
    state = finished(durable())
    running = replace(state, status="running")
    with pytest.raises(JobNotFinishedError, match="may still read its files"):
        delete_files(backend, running)


def test_a_file_that_another_job_reads_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    backend = durable()
    state = finished(backend)
    assert state.training_file is not None
    assert state.validation_file is not None
    intend(replace(state, training_file="file-elsewhere"), "other")
    assert delete_files(backend, state) == (state.training_file,)
    assert "another job" in caplog.text
    with pytest.raises(UnknownFileError):
        backend.file(state.training_file)
    saw(backend, replace(state, id="other"))
    assert delete_files(backend, state) == (state.validation_file,)
    assert delete_files(backend, state) == ()


def test_two_threads_may_settle_the_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class TakenMeanwhile(list[object]):
        def __bool__(self) -> bool:
            return True

    monkeypatch.setattr(remembering, "_told_ends", TakenMeanwhile())
    settle_ends()
