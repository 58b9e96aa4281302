"""A job comes home whole, or what is missing is named: whatever its host has lost, says or does."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_kit import Dataset, FineTuneJob, HostedBackend, Results
from finetune_kit.archiving import Answers, Archive, verify
from finetune_kit.backends import Generation, Sampling
from finetune_kit.errors import FormatError, HostUnavailableError, ParameterError, SourceNotFoundError
from finetune_kit.testing import Fault, HostSimulator, MemoryBackend
from finetune_kit.testing.simulator.flavour import flavour_of
from tests.archiving.places import (
    chat_rows,
    client_of,
    completion_rows,
    ended,
    lines,
    preference_rows,
    started,
    tool_rows,
)

TRAINING, VALIDATION = lines(chat_rows(range(20))), lines(chat_rows(range(20, 28)))


def reasons(archive: Archive) -> dict[str, str]:
    return {one.part: one.why for one in archive.not_archived}


def test_a_job_that_this_library_never_started_comes_home_whole(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job_id = ended(host, started(host, TRAINING, VALIDATION, suffix="parcels", seed=7))
    archive = FineTuneJob.attach(job_id, backend).archive(tmp_path / "kept")
    assert archive.whole
    assert reasons(archive) == {"weights": "none"}
    assert archive.verify() == verify(tmp_path / "kept") == ()
    names = {file.part: file.name for file in archive.files}
    assert names == {
        "training": "training.jsonl",
        "validation": "validation.jsonl",
        "results-1": "results-1.csv",
        "job": "job.json",
        "card": "card.json",
        "checkpoints": "checkpoints.json",
        "events": "events.jsonl",
        "answers": "answers.json",
    }
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {*names.values(), "manifest.json", ".lock"}
    assert (tmp_path / "kept" / "training.jsonl").read_bytes() == TRAINING
    assert (tmp_path / "kept" / "validation.jsonl").read_bytes() == VALIDATION
    job = json.loads((tmp_path / "kept" / "job.json").read_text())
    assert (job["suffix"], job["seed"], job["method"]) == ("parcels", 7, "supervised")
    assert job["as_told"]["id"] == job["state"]["id"] == job_id
    assert job["hyperparameters"]["n_epochs"] == job["as_told"]["hyperparameters"]["n_epochs"]
    with client_of(host) as client:
        events = client.fine_tuning.jobs.list_events(job_id, limit=100).data
    kept = [json.loads(line) for line in (tmp_path / "kept" / "events.jsonl").read_text().splitlines()]
    assert [event["id"] for event in kept] == [event.id for event in reversed(events)]
    assert json.loads((tmp_path / "kept" / "checkpoints.json").read_text())
    card = archive.card
    assert card is not None
    assert (card.base, card.job_id, card.kind) == ("gpt-4.1-2025-04-14", job_id, "chat")


def test_result_files_stay_as_the_host_gave_them(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    job_id = ended(host, started(host, TRAINING))
    path = FineTuneJob.attach(job_id, backend).archive(tmp_path).path("results-1")
    assert path is not None
    content = path.read_bytes()
    assert base64.b64decode(content, validate=True).startswith(b"step,")
    assert Results.parse(content).metrics


def test_the_old_models_answers_are_kept_as_the_yardstick(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    path = job.archive(tmp_path, yardstick=5).path("answers")
    assert path is not None
    answers = Answers.read(path)
    assert (answers.model, answers.rows, len(answers.answers)) == (job.model().name, 8, 5)
    assert [one.row for one in answers.answers] == [0, 1, 3, 4, 6]
    assert {one.answer for one in answers.answers} <= {"track", "refund"}
    assert host.counts["POST /chat/completions"] == 5


class Recording(HostedBackend):
    """Remembers what its models are asked."""

    prompts: Sequence[str] = ()
    sampling: Sampling | None = None

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        self.prompts, self.sampling = prompts, sampling
        return super().complete(model, prompts, sampling)


def test_prompts_are_asked_as_the_training_file_has_them(host: HostSimulator, tmp_path: Path) -> None:
    rows = completion_rows(range(20)), completion_rows(range(20, 24))
    job_id = ended(host, started(host, lines(rows[0]), lines(rows[1]), model="babbage-002"))
    with Recording(api_key=host.api_key, base_url=host.base_url) as backend:
        path = FineTuneJob.attach(job_id, backend).archive(tmp_path, budget=None).path("answers")
    assert path is not None
    answers = Answers.read(path).answers
    assert [one.reference for one in answers] == ["refund", "track", "refund", "track"]
    assert {one.answer for one in answers} <= {"track", "refund"}
    assert list(backend.prompts) == [row["prompt"] for row in rows[1]]
    assert backend.sampling is not None
    assert backend.sampling.stop == (" END",)


def test_answers_that_are_tool_calls_are_not_asked_for(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job_id = ended(host, started(host, lines(tool_rows(range(20))), lines(tool_rows(range(20, 26)))))
    path = FineTuneJob.attach(job_id, backend).archive(tmp_path).path("answers")
    assert path is not None
    answers = Answers.read(path)
    assert (len(answers.answers), answers.wordless, answers.rows) == (3, 3, 6)


@pytest.mark.parametrize(
    ("yardstick", "budget", "told"),
    [(0, 1.0, "yardstick=0"), (200, 0.0, "8 prompts: it would cost about $0.0")],
)
def test_no_answers_are_asked_for_against_the_callers_wish(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path, yardstick: int, budget: float, told: str
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    archive = job.archive(tmp_path, yardstick=yardstick, budget=budget)
    [missing] = [one for one in archive.not_archived if one.part == "answers"]
    assert missing.why == "left out"
    assert told in missing.reason
    assert archive.whole  # the answers are more than what the host has
    assert host.counts["POST /chat/completions"] == 0
    assert job.archive(tmp_path).path("answers") is not None


def test_preference_pairs_come_home_and_their_preferred_answers_are_the_reference(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    files = lines(preference_rows(range(20))), lines(preference_rows(range(20, 24)))
    job_id = ended(host, started(host, *files, method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}))
    archive = FineTuneJob.attach(job_id, backend).archive(tmp_path)
    card = archive.card
    assert card is not None
    assert (card.method, card.hyperparameters.beta) == ("dpo", 0.2)
    path = archive.path("answers")
    assert path is not None
    assert [one.reference for one in Answers.read(path).answers] == ["refund", "track", "refund", "track"]


def test_a_second_call_asks_the_host_nothing(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    first = job.archive(tmp_path)
    asked = len(host.requests)
    again = job.archive(tmp_path)
    assert len(host.requests) == asked
    assert again == first


def test_only_what_is_damaged_or_gone_is_fetched_again(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    job.archive(tmp_path)
    (tmp_path / "training.jsonl").write_bytes(TRAINING[:-1] + b"!")
    (tmp_path / "events.jsonl").unlink()
    assert {(one.name, one.what) for one in verify(tmp_path)} == {
        ("training.jsonl", "changed"),
        ("events.jsonl", "missing"),
    }
    before = host.counts.copy()
    archive = job.archive(tmp_path)
    assert archive.whole
    assert archive.verify() == ()
    asked = host.counts - before
    assert asked["GET /files/{id}/content"] == 1
    assert asked["GET /fine_tuning/jobs/{id}/events"] >= 1
    assert asked["GET /fine_tuning/jobs/{id}/checkpoints"] == asked["POST /chat/completions"] == 0


def test_what_the_host_deleted_is_named_and_a_local_file_takes_its_place(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    assert job.state.training_file is not None
    backend.delete_file(job.state.training_file)
    archive = job.archive(tmp_path / "kept")
    assert not archive.whole
    [gone] = [one for one in archive.not_archived if one.part == "training"]
    assert (gone.why, gone.source_id) == ("gone", job.state.training_file)
    assert "training (gone)" in str(archive)
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(TRAINING)
    with_mine = job.archive(tmp_path / "kept", training=mine)
    assert with_mine.whole
    [file] = [one for one in with_mine.files if one.part == "training"]
    assert (file.origin, file.source_name) == ("local file", "mine.jsonl")
    assert with_mine.verify() == ()


def test_a_part_that_cannot_be_had_now_is_named_and_had_later(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    host.faults.add(Fault("error", "GET /fine_tuning/jobs/*/events", times=None, status=503))
    archive = job.archive(tmp_path)
    assert reasons(archive) == {"weights": "none", "events": "failed"}
    assert not archive.whole
    host.faults.clear()
    assert job.archive(tmp_path).whole


def test_a_host_that_goes_silent_half_way_leaves_a_true_manifest(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    host.faults.add(Fault("cut", "GET /files/**", nth=3, times=None), Fault("cut", "* **", nth=5, times=None))
    archive = job.archive(tmp_path)
    named = {file.part for file in archive.files} | {one.part for one in archive.not_archived}
    assert named == {
        *("training", "validation", "results-1", "job", "card", "checkpoints", "events", "answers", "weights"),
    }
    assert archive.verify() == ()
    assert not archive.whole
    host.faults.clear()
    assert job.archive(tmp_path).whole


def test_a_job_that_still_runs_is_archived_anew_when_it_has_ended(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job_id = started(host, TRAINING, VALIDATION)
    early = FineTuneJob.attach(job_id, backend).archive(tmp_path)
    assert not early.whole
    assert reasons(early)["results"] == reasons(early)["answers"] == "later"
    ended(host, job_id)
    late = FineTuneJob.attach(job_id, backend).archive(tmp_path)
    assert late.whole
    assert reasons(late) == {"weights": "none"}
    assert late.manifest.status == "succeeded"


def test_a_failed_job_is_whole_without_results(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    job_id = started(host, TRAINING)
    host.fail(job_id, "The file is no good.")
    archive = FineTuneJob.attach(job_id, backend).archive(tmp_path)
    assert archive.whole
    assert reasons(archive) == dict.fromkeys(("validation", "results", "answers", "weights"), "none")


def test_names_that_a_host_gives_lead_nowhere(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    job_id = ended(host, started(host, TRAINING))
    host.faults.add(Fault("change", "GET /files/*", times=None, fields={"filename": "../../evil\x1b[2J.txt"}))
    inside = tmp_path / "a" / "b" / "c"
    archive = FineTuneJob.attach(job_id, backend).archive(inside)
    outside = [path for path in tmp_path.rglob("*") if path.is_file() and inside not in path.parents]
    assert [path for path in outside if (tmp_path / "home") not in path.parents] == []
    assert "\x1b" not in str(archive)


@pytest.mark.parametrize("name", ["../training.jsonl", "/etc/passwd", "a/b", "..", "C:\\x", "con\x00", ""])
def test_a_manifest_that_leads_out_of_its_folder_is_refused(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path, name: str
) -> None:
    FineTuneJob.attach(ended(host, started(host, TRAINING)), backend).archive(tmp_path)
    told = json.loads((tmp_path / "manifest.json").read_text())
    told["files"][0]["name"] = name
    (tmp_path / "manifest.json").write_text(json.dumps(told))
    with pytest.raises(FormatError, match="no plain file name"):
        Archive.read(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"schema_version": 1, "files": 7}', b"\xff\xfe"])
def test_a_damaged_manifest_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(FormatError, match=r"manifest\.json is damaged"):
        verify(tmp_path)


def test_a_manifest_of_a_newer_version_is_told(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    FineTuneJob.attach(ended(host, started(host, TRAINING)), backend).archive(tmp_path)
    told = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**told, "schema_version": 99}))
    with pytest.raises(FormatError, match="Install a newer one"):
        verify(tmp_path)


def test_a_folder_without_an_archive_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="is no archive"):
        verify(tmp_path)


def test_a_folder_of_another_job_is_not_touched(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    first, second = started(host, TRAINING), started(host, TRAINING)
    ended(host, first, second)
    FineTuneJob.attach(first, backend).archive(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(ParameterError, match="Name another folder"):
        FineTuneJob.attach(second, backend).archive(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_job_that_cannot_be_read_is_an_error_and_leaves_an_earlier_archive_alone(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    job.archive(tmp_path)
    (tmp_path / "events.jsonl").unlink()
    host.stop()
    with pytest.raises(HostUnavailableError):
        job.archive(tmp_path)
    assert [one.name for one in verify(tmp_path)] == ["events.jsonl"]


def test_no_key_stands_in_an_archive(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    host.faults.add(Fault("wrong_key", "GET /fine_tuning/jobs/*/events", times=None))
    FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend).archive(tmp_path / "kept")
    for path in (tmp_path / "kept").iterdir():
        assert host.api_key.encode() not in path.read_bytes()


def test_on_azure_the_model_is_asked_by_its_deployment(tmp_path: Path) -> None:
    flavour = replace(flavour_of("azure"), auto_deploys=False)
    with HostSimulator(host=flavour) as host:
        job_id = ended(host, started(host, b"\xef\xbb\xbf" + TRAINING, b"\xef\xbb\xbf" + VALIDATION))
        with HostedBackend(api_key=host.api_key, base_url=host.base_url, host="azure") as backend:
            job = FineTuneJob.attach(job_id, backend)
            archive = job.archive(tmp_path, budget=None)
            [missing] = [one for one in archive.not_archived if one.part == "answers"]
            assert missing.why == "left out"
            assert "pass deployment=" in missing.reason
            host.deploy(job.state.fine_tuned_model or "", name="parcels")
            assert job.archive(tmp_path, budget=None, deployment="parcels").path("answers") is not None


def test_any_backend_can_be_archived(tmp_path: Path) -> None:
    rows = [(f"Where is parcel {number}?", "track" if number % 2 else "refund") for number in range(40)]
    job = Dataset.from_records(rows).split(0.8).train(backend=MemoryBackend()).wait()
    archive = job.archive(tmp_path)
    assert archive.whole
    assert reasons(archive) == {"weights": "none"}
    assert archive.card == job.card
