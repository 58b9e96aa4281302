"""What came of a job on a host: results that outlive the host's file, the best checkpoint, the model."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finetune_kit._clock import FastClock, using
from finetune_kit.backends import HostedBackend
from finetune_kit.dataset import Dataset
from finetune_kit.errors import (
    AuthenticationError,
    BackendError,
    FormatError,
    JobNotFoundError,
    StorageError,
    UnknownFileError,
)
from finetune_kit.job import FineTuneJob
from finetune_kit.ledger import Ledger
from finetune_kit.testing import Fault, HostSimulator, MemoryBackend
from tests.rows_of import PAIRS

KEY = "sk-not-a-real-key-0123456789"
CHATS = [
    {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer.strip()}]}
    for asked, answer in PAIRS
]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    clock = FastClock(200)
    clock._wall = datetime(2026, 12, 1, tzinfo=UTC).timestamp()  # when Azure still trains what the test trains there
    with using(clock):
        yield


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator(host="nebius", models=["meta/llama"], key=KEY) as simulator:
        yield simulator


@pytest.fixture
def backend(host: HostSimulator) -> HostedBackend:
    return HostedBackend(api_key=KEY, base_url=host.base_url, host="nebius")


def started(backend: HostedBackend, model: str = "meta/llama") -> FineTuneJob:
    return Dataset.from_records(CHATS).split(0.75).train(model=model, backend=backend)


def result_file(job: FineTuneJob) -> Path:
    [path] = (Path(Ledger().path.parent) / "results").iterdir()
    assert path.name.startswith(job.id)
    return path


def test_results_are_on_the_disk_when_the_end_is_told_and_outlive_the_hosts_file(
    host: HostSimulator, backend: HostedBackend
) -> None:
    job = started(backend).wait()
    assert result_file(job).stat().st_size > 50
    results = job.results()
    assert results.metrics[-1].train_loss is not None
    backend.delete_file(job.state.result_files[0])
    another = FineTuneJob.attach(job.id, backend)
    assert another.results() == results
    result_file(job).write_bytes(b"step,train_loss\n1,0.")
    result_file(job).write_bytes(b"damaged")
    with pytest.raises(UnknownFileError, match="is gone from 'nebius', and no copy of it lies in"):
        another.results()


def test_following_keeps_results_too(backend: HostedBackend) -> None:
    job = started(backend)
    assert list(job.follow())
    assert result_file(job).exists()


def test_a_result_file_that_cannot_be_had_at_the_end_ends_no_waiting(
    host: HostSimulator, backend: HostedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    job = started(backend)
    host.faults.add(Fault("error", "GET /files/*/content", times=None, status=500))
    with caplog.at_level(logging.WARNING, "finetune_kit"):
        assert job.wait().state.status == "succeeded"
    assert "could not be saved" in caplog.text
    host.faults.clear()
    assert job.results().metrics, "asked for again"
    assert result_file(job).exists()


def test_a_disk_that_takes_nothing_ends_no_waiting(
    backend: HostedBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(path: Path, found: bytes) -> None:
        raise StorageError("no space is left")

    monkeypatch.setattr("finetune_kit.keeping._write", full)
    job = started(backend).wait()
    assert job.results().metrics
    assert "no space is left" in caplog.text


def test_the_first_readable_of_several_result_files_is_taken() -> None:
    backend = MemoryBackend()
    job = Dataset.from_records(PAIRS).split(0.75).train(backend=backend).wait()
    [good] = job.state.result_files
    state = job.state
    object.__setattr__(state, "result_files", (state.training_file, good))
    assert job.results().metrics
    object.__setattr__(state, "result_files", (state.training_file,))
    with pytest.raises(FormatError, match="no column 'step'"):
        job.results()


def test_the_best_checkpoint_is_called_like_any_other(backend: HostedBackend) -> None:
    job = started(backend).wait()
    best = job.best_checkpoint()
    assert best.name in {job.state.fine_tuned_model, *(one.name for one in job.checkpoints())}
    assert "the best of" in best.reason
    assert job.model(best).name == best.name


def test_a_host_that_wants_a_deployment_says_how() -> None:
    with HostSimulator(host="azure", key=KEY) as host:
        backend = HostedBackend(api_key=KEY, base_url=host.base_url, host="azure")
        job = started(backend, "gpt-4o-mini-2024-07-18").wait()
        name = job.state.fine_tuned_model or ""
        with pytest.raises(BackendError, match=r"only when it is deployed.*model\(deployment=NAME\)"):
            job.model()
        host.deploy(name, name="mine")
        model = job.model(deployment="mine")
        assert (model.name, model.card.name) == ("mine", name)
        question = CHATS[0]["messages"]
        assert model.chat(question[:1]) == question[1]["content"]


def test_files_are_deleted_on_request(host: HostSimulator, backend: HostedBackend) -> None:
    job = started(backend).wait()
    gone = job.delete_files()
    assert set(gone) == {job.state.training_file, job.state.validation_file}
    assert not {str(file["id"]) for file in host.files} & set(gone)


# attaching by the id alone


def test_the_ledger_knows_where_a_job_runs(
    host: HostSimulator, backend: HostedBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = started(backend)
    with pytest.raises(AuthenticationError, match="runs on 'nebius', which cannot be asked: there is no API key"):
        FineTuneJob.attach(job.id)
    monkeypatch.setenv("NEBIUS_API_KEY", KEY + "-of-another")
    with pytest.raises(AuthenticationError, match="with another key than the one in the environment") as raised:
        FineTuneJob.attach(job.id)
    assert KEY not in str(raised.value)
    monkeypatch.setenv("NEBIUS_API_KEY", KEY)
    attached = FineTuneJob.attach(job.id)
    assert isinstance(attached.backend, HostedBackend)
    assert attached.backend.account == backend.account
    assert attached.wait().state.status == "succeeded"


def test_a_job_that_the_ledger_does_not_know_is_looked_for_where_connect_leads() -> None:
    pytest.importorskip("torch")
    with pytest.raises(JobNotFoundError, match="ftjob-nowhere"):
        FineTuneJob.attach("ftjob-nowhere")


def test_the_line_that_attaches_again_is_complete(host: HostSimulator, backend: HostedBackend) -> None:
    job = started(backend)
    line = str(job._come_back()).partition("Attach again: ")[2]
    assert line == f"FineTuneJob.attach(\"{job.id}\", HostedBackend(host='nebius', base_url={host.base_url!r}))"
    assert KEY not in line
