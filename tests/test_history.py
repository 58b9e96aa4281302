"""Whatever this machine has asked for stands in one table, which asks nobody."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import finetune_kit
from finetune_kit import Dataset, FineTuneJob, Split
from finetune_kit._clock import FastClock, using
from finetune_kit.backends import JobSpec, JobState
from finetune_kit.errors import ParameterError, QuotaError, UnclearOutcomeError
from finetune_kit.ledger import Intent, Ledger, Place
from finetune_kit.testing import MemoryBackend


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def split() -> Split:
    return Dataset.from_records([(f"Where is parcel {number}?", "track") for number in range(20)]).split(0.8)


class Losing(MemoryBackend):
    """Starts nothing, and says so or not."""

    def __init__(self, error: Exception) -> None:
        super().__init__(account="losing")
        self.error = error

    def start(self, spec: JobSpec) -> JobState:
        raise self.error


def test_jobs_of_all_hosts_are_listed_the_newest_first() -> None:
    backend = MemoryBackend(account="mine")
    first = split().train(backend=backend, suffix="one").wait()
    second = split().train(backend=backend, suffix="two")
    newest, oldest = finetune_kit.jobs()
    assert (newest.job_id, newest.suffix, newest.status) == (second.id, "two", "queued")
    assert (oldest.job_id, oldest.status, oldest.fine_tuned_model) == (
        first.id,
        "succeeded",
        first.state.fine_tuned_model,
    )
    assert oldest.requested_model == "curie"
    assert oldest.model == "memory-1"
    assert oldest.seen_at is not None
    assert oldest.started_at <= oldest.seen_at
    assert len(finetune_kit.jobs("memory")) == 2
    assert len(finetune_kit.jobs("openai")) == 0


def test_a_row_can_be_attached_to() -> None:
    backend = MemoryBackend(account="mine")
    job = split().train(backend=backend)
    attached = finetune_kit.jobs()[0].attach(backend)
    assert isinstance(attached, FineTuneJob)
    assert attached.id == job.id


def test_what_came_of_nothing_is_told_as_that() -> None:
    with using(FastClock(float("inf"))):
        with pytest.raises(QuotaError):
            split().train(backend=Losing(QuotaError("no money.")))
        with pytest.raises(UnclearOutcomeError):
            split().train(backend=Losing(UnclearOutcomeError("cut.")), suffix="unclear")
    unclear, refused = finetune_kit.jobs()
    assert (unclear.intent, refused.intent) == ("asked", "void")
    text = str(finetune_kit.jobs())
    assert "not known" in text
    assert "refused" in text
    assert "train() with the same data looks for the job" in text
    with pytest.raises(ParameterError, match="no job is known of this training"):
        refused.attach()


def test_the_table_is_a_sequence_that_shows_itself() -> None:
    backend = MemoryBackend(account="mine")
    for number in range(3):
        split().train(backend=backend, suffix=f"try-{number}")
    table = finetune_kit.jobs()
    assert [row.suffix for row in table[1:]] == ["try-1", "try-0"]
    assert str(table).splitlines()[0].split()[:3] == ["started", "host", "job"]
    assert repr(table) == str(table)
    assert "<td>try-0</td>" in table._repr_html_()
    assert list(pickle.loads(pickle.dumps(table))) == list(table)


def test_a_host_s_words_steer_no_terminal() -> None:
    ledger = Ledger()
    intent = Intent(
        token="t",
        fingerprint="f",
        place=Place("openai", "mine", "https://example.org"),
        requested_model="m",
        model="m",
        method="supervised",
        training_file="file-1",
        created_at=1.0,
    )
    ledger.intents.add(intent)
    ledger.intents.started(intent, job_id="ftjob\x1b[2J", status="queued\n\x07<b>")
    shown = str(finetune_kit.jobs())
    assert all(char.isprintable() for char in shown.replace("\n", ""))
    assert len(shown.splitlines()) == 3
    assert "&lt;b&gt;</td>" in finetune_kit.jobs()._repr_html_()
    assert finetune_kit.jobs()[0].address == "https://example.org"


def test_an_empty_machine_has_an_empty_table() -> None:
    assert len(finetune_kit.jobs()) == 0
    assert str(finetune_kit.jobs()).startswith("started")
