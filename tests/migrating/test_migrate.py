"""A job's data are trained again elsewhere once, as they were, and the new model is measured by the old one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import finetune_kit
from finetune_kit import Dataset, FineTuneJob, HostedBackend, LocalBackend, PromptTemplate
from finetune_kit.errors import FormatError, JobFailedError, JobNotFinishedError, ParameterError
from finetune_kit.hosts import HostProfile
from finetune_kit.testing import Fault, HostSimulator, MemoryBackend
from finetune_kit.testing.simulator.host import UNNAMED_BASE
from tests.archiving.places import (
    backend_of,
    chat_rows,
    completion_rows,
    ended,
    lines,
    preference_rows,
    started,
    tool_rows,
)

pytestmark = pytest.mark.filterwarnings("ignore::finetune_kit.errors.ShutdownWarning")

TRAINING, VALIDATION = lines(chat_rows(range(20))), lines(chat_rows(range(20, 60)))


@pytest.fixture
def old_host() -> Iterator[HostSimulator]:
    with HostSimulator() as host:
        yield host


@pytest.fixture
def new_host() -> Iterator[HostSimulator]:
    with HostSimulator(seed=1) as host:
        yield host


@pytest.fixture
def old(old_host: HostSimulator) -> Iterator[HostedBackend]:
    with backend_of(old_host) as backend:
        yield backend


@pytest.fixture
def new(new_host: HostSimulator) -> Iterator[HostedBackend]:
    with backend_of(new_host) as backend:
        yield backend


def test_a_living_job_is_trained_on_another_host_and_answers_as_the_old_one(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION, suffix="parcels", seed=7))
    migration = FineTuneJob.attach(job_id, old).migrate(to=new, model="gpt-4.1-mini")
    assert migration.archive.whole
    [job] = new_host.jobs
    assert (job["id"], job["user_provided_suffix"], job["seed"]) == (migration.job.id, "parcels", 7)
    ended(new_host, migration.job.id)
    comparison = migration.compare()
    assert len(comparison.compared) == 40
    assert comparison.alike is not None
    assert comparison.alike.share == 1.0
    assert comparison.verdict == "not enough data to tell"  # forty answers are few, however good they are
    assert f"{migration.job.model().name} beside ft:gpt-4.1-2025-04-14" in str(comparison)
    assert comparison.differing == ()


def test_the_new_training_file_holds_the_same_examples_in_the_same_marks(
    old_host: HostSimulator, old: HostedBackend
) -> None:
    rows, to = lines(completion_rows(range(20))), MemoryBackend()
    job_id = ended(old_host, started(old_host, rows, model="babbage-002"))
    migration = FineTuneJob.attach(job_id, old).migrate(to=to)
    assert to.file_content(migration.job.state.training_file or "") == rows
    card = migration.job.wait().card
    assert card.template == PromptTemplate(separator="\n\n###\n\n", stop=" END", leading_space=True)
    assert set(card.labels) == {"track", "refund"}
    assert migration.job.model().complete("Where is parcel 3?") == "track"


def test_prompts_and_completions_go_to_a_model_that_takes_conversations_alone(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend
) -> None:
    rows = lines(completion_rows(range(20))), lines(completion_rows(range(20, 30)))
    job_id = ended(old_host, started(old_host, *rows, model="babbage-002"))
    migration = FineTuneJob.attach(job_id, old).migrate(to=new, model="gpt-4.1")
    first = json.loads(new.file_content(migration.job.state.training_file or "").splitlines()[0])
    assert first == {
        "messages": [
            {"role": "user", "content": "Money for order 0 back!"},
            {"role": "assistant", "content": "refund"},
        ]
    }
    ended(new_host, migration.job.id)
    assert migration.compare().new.count == 10


@pytest.mark.parametrize("rows", [tool_rows, preference_rows])
def test_tools_and_preference_pairs_arrive_as_they_were(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend, rows: object
) -> None:
    content = lines((tool_rows if rows is tool_rows else preference_rows)(range(20)))
    method = {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.3}}} if rows is preference_rows else None
    more: dict[str, Any] = {} if method is None else {"method": method}
    job_id = ended(old_host, started(old_host, content, **more))
    migration = FineTuneJob.attach(job_id, old).migrate(to=new, model="gpt-4.1")
    kept = [json.loads(line) for line in new.file_content(migration.job.state.training_file or "").splitlines()]
    assert kept == [json.loads(line) for line in content.splitlines()]
    [job] = new_host.jobs
    if method is not None:
        assert json.loads(json.dumps(job["method"]))["dpo"]["hyperparameters"]["beta"] == 0.3


def test_preference_pairs_are_refused_where_they_cannot_be_trained_on(
    old_host: HostSimulator, old: HostedBackend
) -> None:
    content = lines(preference_rows(range(20)))
    job_id = ended(old_host, started(old_host, content, method={"type": "dpo"}))
    with pytest.raises(ParameterError, match="method='dpo': 'local' offers 'supervised' alone"):
        FineTuneJob.attach(job_id, old).migrate(to=SupervisedOnly())


class SupervisedOnly(LocalBackend):
    """As most hosts are."""

    @property
    def profile(self) -> HostProfile:
        return super().profile.model_copy(update={"methods": ("supervised",)})


def test_a_second_call_finds_the_job_of_the_first_after_its_end_too(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend, tmp_path: Path
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION))
    first = FineTuneJob.attach(job_id, old).migrate(to=new, folder=tmp_path / "kept")
    again = finetune_kit.migrate(tmp_path / "kept", to=new)
    assert (again.job.id, again.started_before) == (first.job.id, True)
    ended(new_host, first.job.id)
    first.job.wait()
    late = finetune_kit.migrate(tmp_path / "kept", to=new)
    assert (late.job.id, late.started_before) == (first.job.id, True)
    assert len(new_host.jobs) == 1
    assert finetune_kit.migrate(tmp_path / "kept", to=new, seed=5).job.id != first.job.id


def test_another_machine_finds_it_by_the_jobs_metadata(
    old_host: HostSimulator,
    new_host: HostSimulator,
    old: HostedBackend,
    new: HostedBackend,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION))
    first = FineTuneJob.attach(job_id, old).migrate(to=new, folder=tmp_path / "kept")
    ended(new_host, first.job.id)
    (tmp_path / "kept" / "migrations.json").unlink()
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "elsewhere"))
    with backend_of(new_host) as other:
        assert finetune_kit.migrate(tmp_path / "kept", to=other).job.id == first.job.id
    assert len(new_host.jobs) == 1


def test_a_host_that_keeps_no_metadata_gets_no_second_job_either(
    old_host: HostSimulator, old: HostedBackend, tmp_path: Path
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION))
    FineTuneJob.attach(job_id, old).archive(tmp_path / "kept")
    with HostSimulator(host="bare") as bare:
        to = HostedBackend(api_key=bare.api_key, base_url=bare.base_url, host="generic")
        model = UNNAMED_BASE
        first = finetune_kit.migrate(tmp_path / "kept", to=to, model=model)
        ended(bare, first.job.id)
        first.job.wait()
        assert finetune_kit.migrate(tmp_path / "kept", to=to, model=model).job.id == first.job.id
        assert len(bare.jobs) == 1
        to.close()


def test_a_lost_answer_doubles_nothing(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION))
    new_host.faults.add(Fault("error", "POST /fine_tuning/jobs", status=502, takes_effect=True))
    migration = FineTuneJob.attach(job_id, old).migrate(to=new)
    assert [job["id"] for job in new_host.jobs] == [migration.job.id]


def test_a_job_that_failed_is_started_anew(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING))
    first = FineTuneJob.attach(job_id, old).migrate(to=new)
    new_host.fail(first.job.id, "Out of luck.")
    with pytest.raises(JobFailedError, match="Out of luck"):
        first.job.wait()
    with pytest.raises(JobFailedError, match="Out of luck"):
        first.compare()
    again = FineTuneJob.attach(job_id, old).migrate(to=new)
    assert again.job.id != first.job.id


def test_the_folder_is_enough_when_the_host_is_gone(
    old_host: HostSimulator, old: HostedBackend, tmp_path: Path
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION))
    FineTuneJob.attach(job_id, old).archive(tmp_path / "kept")
    old_host.stop()
    migration = finetune_kit.migrate(tmp_path / "kept", to=MemoryBackend(), model="gpt-4.1")
    migration.job.wait()
    comparison = migration.compare()
    assert comparison.old is not None
    assert comparison.new.count == comparison.old.count == 40


def test_a_damaged_archive_is_not_trained_on(old_host: HostSimulator, old: HostedBackend, tmp_path: Path) -> None:
    FineTuneJob.attach(ended(old_host, started(old_host, TRAINING, VALIDATION)), old).archive(tmp_path)
    (tmp_path / "training.jsonl").write_bytes(TRAINING.replace(b"refund", b"refunt", 1))
    with pytest.raises(FormatError, match=r"training\.jsonl is changed, by the sha256"):
        finetune_kit.migrate(tmp_path, to=MemoryBackend())


def test_a_lost_training_file_is_told_and_a_local_one_taken(
    old_host: HostSimulator, old: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(old_host, started(old_host, TRAINING, VALIDATION)), old)
    old.delete_file(job.state.training_file or "")
    with pytest.raises(ParameterError, match=r"no training file in .* Pass your own: training=path"):
        job.migrate(to=MemoryBackend())
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(TRAINING)
    migration = job.migrate(to=MemoryBackend(), training=mine)
    assert migration.job.wait().model().chat([{"role": "user", "content": "Where is parcel 3?"}]) == "track"


def test_settings_that_do_not_go_along_are_told(old_host: HostSimulator, old: HostedBackend, tmp_path: Path) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 2}}}
    job_id = ended(old_host, started(old_host, TRAINING, method=method, suffix="parcels"))
    to = MemoryBackend()
    migration = FineTuneJob.attach(job_id, old).migrate(to=to)
    assert migration.job.wait().card.hyperparameters.n_epochs == 3
    assert any(note.startswith("batch_size=2 suited the old model") for note in migration.notes)
    assert "batch_size=2" in str(migration)
    given = FineTuneJob.attach(job_id, old).migrate(to=MemoryBackend(), batch_size=4, n_epochs=2)
    settings = given.job.wait().card.hyperparameters
    assert (settings.n_epochs, settings.batch_size) == (2, 4)
    assert not any("batch_size" in note for note in given.notes)


def test_a_model_that_the_new_host_does_not_have_has_to_be_chosen(old_host: HostSimulator, old: HostedBackend) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, model="gpt-3.5-turbo-0125"))
    with pytest.raises(ParameterError, match=r"has no model of the old one's name. Choose one: model="):
        FineTuneJob.attach(job_id, old).migrate(to=WithoutStandIns())


class WithoutStandIns(MemoryBackend):
    """Knows its own base alone, as most hosts do."""

    @property
    def profile(self) -> HostProfile:
        return super().profile.model_copy(update={"aliases": {}})


def test_there_is_no_comparison_before_the_end(
    old_host: HostSimulator, new_host: HostSimulator, old: HostedBackend, new: HostedBackend
) -> None:
    job_id = ended(old_host, started(old_host, TRAINING, VALIDATION))
    with pytest.raises(JobNotFinishedError, match=r"migration\.job\.wait\(\) first"):
        FineTuneJob.attach(job_id, old).migrate(to=new).compare()


def test_without_a_validation_file_there_is_nothing_to_compare_on(old_host: HostSimulator, old: HostedBackend) -> None:
    job_id = ended(old_host, started(old_host, TRAINING))
    migration = FineTuneJob.attach(job_id, old).migrate(to=MemoryBackend())
    migration.job.wait()
    comparison = migration.compare()
    assert comparison.verdict == "not enough data to tell"
    assert "no validation question" in str(comparison)


def test_a_job_of_this_library_keeps_its_card_on_the_way(tmp_path: Path) -> None:
    rows = [(f"Where is parcel {number}?", "track" if number % 2 else "refund") for number in range(60)]
    job = Dataset.from_records(rows).split(0.5).train(backend=MemoryBackend(), n_epochs=2).wait()
    migration = job.migrate(to=MemoryBackend(), folder=tmp_path)
    new, old = migration.job.wait().card, job.card
    assert (new.template, new.labels, new.hyperparameters.n_epochs) == (old.template, old.labels, 2)
    assert new.training == old.training
    assert migration.compare().alike is not None
