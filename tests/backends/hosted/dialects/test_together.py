"""Together: its own files and jobs, told as OpenAI tells them."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune_kit import Dataset, HostedBackend
from finetune_kit.backends import JobSpec, Sampling
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.errors import (
    AuthenticationError,
    BackendError,
    FileTooLargeError,
    HostReplyError,
    HostUnavailableError,
    ModelClosedError,
    ParameterError,
    RequestRefusedError,
    UnclearOutcomeError,
)
from finetune_kit.hosts import Resolved
from finetune_kit.results import Results
from finetune_kit.testing import check_backend
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.dialects.fake_host import serving
from tests.backends.hosted.dialects.fake_together import FakeTogether
from tests.backends.hosted.scripted_host import KEY, Asked, Says, answering

BASE = "test/base-1"
LINES = [json.dumps({"prompt": f"{n}?", "completion": "!"}).encode() for n in range(12)]
CHATS: list[Any] = [([{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "!"}]) for n in range(12)]


@pytest.fixture
def fake() -> FakeTogether:
    return FakeTogether()


@pytest.fixture
def backend(fake: FakeTogether) -> Generator[HostedBackend]:
    with serving(fake, "together") as (backend, _):
        yield backend


def sent(backend: HostedBackend, lines: list[bytes] | None = None) -> str:
    with SpooledFile.of(LINES if lines is None else lines, filename="training.jsonl") as file:
        return backend.upload(file).id


def spec(training_file: str, *, model: Resolved | None = None, **more: Any) -> JobSpec:
    resolved = model or Resolved(requested=BASE, model=BASE)
    card = ModelCard(base=BASE, requested_model=BASE, backend="together", kind="completion")
    return JobSpec(model=resolved, training_file=training_file, card=card, **more)


def finished(backend: HostedBackend, job_id: str) -> str:
    state = backend.job(job_id)
    while not state.finished:
        state = backend.job(job_id)
    assert state.fine_tuned_model is not None
    return state.fine_tuned_model


def test_it_keeps_every_promise(fake: FakeTogether, tmp_path: Path) -> None:
    """With one model in the profile, and no word for any other, so that every promise can be tried."""
    told = {"together": {"any_model": False, "models": {BASE: {"source": "a test", "as_of": "2026-11-25"}}}}
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps(told), "utf-8")
    fake.deploys_at_once = True  # the suite knows of no deployments
    with serving(fake, "together") as (_, server):
        names = check_backend(lambda: HostedBackend(KEY, server.url, "together", hosts=path), patience_seconds=20)
    assert "another_instance_knows_it_all" in names


def test_what_the_host_has_no_value_for_is_sent(fake: FakeTogether, backend: HostedBackend) -> None:
    order = spec(sent(backend), hyperparameters=Hyperparameters(n_epochs=3), suffix="tone", seed=7)
    backend.start(order)
    [job] = fake.jobs.values()
    assert (job["n_epochs"], job["batch_size"], job["learning_rate"], job["n_checkpoints"]) == (3, "max", 1e-5, 1)
    assert (job["suffix"], job["random_seed"], job["n_evals"]) == ("tone", 7, 0)
    assert job["training_method"] == {"method": "sft", "train_on_inputs": "auto"}
    assert job["lr_scheduler"]["lr_scheduler_type"] == "cosine"
    assert "validation_file" not in job


def test_what_is_chosen_goes_before_that(fake: FakeTogether, backend: HostedBackend) -> None:
    settings = Hyperparameters(n_epochs=1, batch_size=16, learning_rate_multiplier=2e-5, beta=0.2)
    file = sent(backend)
    backend.start(spec(file, hyperparameters=settings, method="dpo", validation_file=file))
    [job] = fake.jobs.values()
    assert (job["batch_size"], job["learning_rate"]) == (16, 2e-5)
    assert job["training_method"] == {"method": "dpo", "dpo_beta": 0.2}
    assert (job["validation_file"], job["n_evals"] > 0) == (file, True), "else it is never measured"


def test_a_model_trained_there_is_trained_further_by_another_key(fake: FakeTogether, backend: HostedBackend) -> None:
    file = sent(backend)
    first = finished(backend, backend.start(spec(file, suffix="one")).id)
    resolved = backend.resolve(first)
    assert resolved.base
    second = backend.start(spec(file, model=resolved, suffix="two"))
    assert fake.jobs[second.id]["from_checkpoint"] == first
    assert fake.jobs[second.id]["model"] is None
    assert [state.id for state in backend.started(spec(file, model=resolved, suffix="two"))] == [second.id]


@pytest.mark.parametrize("suffix", [None, "tone"])
def test_a_job_whose_answer_was_lost_is_found_among_others_on_the_same_file(
    fake: FakeTogether, backend: HostedBackend, suffix: str | None
) -> None:
    file = sent(backend)
    order = spec(file, suffix=suffix, seed=1)
    others = [
        replace(order, token="0" * 32, seed=2),
        replace(order, token="1" * 32, hyperparameters=Hyperparameters(n_epochs=9)),
        replace(order, token="2" * 32, suffix="other"),
    ]
    for one in others:
        backend.start(one)
    fake.lost = lambda asked: asked.method == "POST" and asked.path == "/v1/fine-tunes"
    with pytest.raises(UnclearOutcomeError, match="Whether a job was created is not known"):
        backend.start(order)
    [found] = backend.started(order)
    assert found.id == [*fake.jobs][-1]


def test_train_starts_one_job_though_the_answer_is_lost(
    fake: FakeTogether, backend: HostedBackend, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    def lost_once(request: Asked) -> bool:
        nonlocal asked
        asked += request.method == "POST" and request.path == "/v1/fine-tunes"
        return request.method == "POST" and request.path == "/v1/fine-tunes" and asked == 1

    fake.lost = lost_once
    split = Dataset.from_records([(f"Where is parcel {n}?", "track") for n in range(20)]).split(0.8)
    with caplog.at_level(logging.WARNING, "finetune_kit"):
        job = split.train(BASE, backend=backend).wait()
    assert len(fake.jobs) == 1
    name = finished(backend, job.id)
    with pytest.raises(BackendError, match=r"only when it is deployed.*dedicated endpoint.*billed by the minute"):
        job.model()
    with pytest.raises(BackendError, match="knows no model"):
        backend.complete(name, ["Where is parcel 77?"], Sampling(max_tokens=1))
    fake.deploy(name, name="acme/parcels-bb04c904")
    assert job.model(deployment="acme/parcels-bb04c904").complete("Where is parcel 77?") == "track"
    assert "its answer was lost on the way" in caplog.text
    assert KEY not in caplog.text


def test_another_suffix_than_the_host_takes_is_refused_before_the_upload(backend: HostedBackend) -> None:
    split = Dataset.from_records([(f"{n}?", "track") for n in range(20)]).split(0.8)
    with pytest.raises(ParameterError, match="give 1 to 40 letters"):
        split.train(BASE, backend=backend, suffix="s" * 41)
    assert backend.files() == []


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("pending", "queued"),
        ("queued", "queued"),
        ("running", "running"),
        ("compressing", "running"),
        ("uploading", "running"),
        ("cancel_requested", "cancelling"),
        ("cancelled", "cancelled"),
        ("completed", "succeeded"),
        ("error", "failed"),
        ("user_error", "failed"),
        ("a_new_one", "a_new_one"),
    ],
)
def test_statuses_are_told_in_our_words(word: str, ours: str) -> None:
    told = {
        "id": "ft-1",
        "status": word,
        "created_at": "2026-11-25T01:02:03.5Z",
        "updated_at": "2026-11-25T02:02:03Z",
        "model_output_name": "acme/m-1",
        "model": BASE,
    }
    with answering(Says(told), host="together") as (backend, _):
        state = backend.job("ft-1")
    assert (state.status, state.finished) == (ours, ours in {"succeeded", "failed", "cancelled"})
    assert state.fine_tuned_model == ("acme/m-1" if ours == "succeeded" else None), "its name stands there before it"
    assert (state.finished_at is not None) == state.finished
    assert bool(state.result_files) == (ours == "succeeded")


def test_a_failed_job_says_why_by_its_events() -> None:
    events = [
        {"level": "info", "message": "Job started"},
        {"level": "legacy_ierror", "message": "line 3: 缺少字段 messages"},
        {"level": "error", "message": None},
    ]
    with answering(Says({"id": "ft-1", "status": "user_error", "events": events}), host="together") as (backend, _):
        fault = backend.job("ft-1").fault
    assert fault is not None
    assert (fault.code, fault.message) == ("user_error", "line 3: 缺少字段 messages")


def test_events_come_once_each_the_oldest_first_in_whatever_order_they_are_sent() -> None:
    told = [
        {"object": "fine-tune-event", "created_at": f"2026-11-25T01:00:0{n}Z", "message": f"{n}", "type": "job_start"}
        for n in (1, 2, 2, 3)
    ]
    for order in (told, told[::-1]):
        with answering(Says({"data": order}), host="together") as (backend, _):
            found = backend._jobs.events("ft-1", after=None)
            behind = backend._jobs.events("ft-1", after=found[0].id)
        assert [event.message for event in found] == ["1", "2", "3"]
        assert [event.message for event in behind] == ["2", "3"]
        assert found[0].data["type"] == "job_start"


def test_what_the_job_measured_is_a_result_file_with_the_names_that_are_known_here(backend: HostedBackend) -> None:
    file = sent(backend)
    job = backend.start(spec(file, validation_file=file))
    finished(backend, job.id)
    [name] = backend.job(job.id).result_files
    rows = Results.parse(backend.file_content(name)).metrics
    assert rows
    assert all(row.train_loss is not None for row in rows)
    assert rows[-1].valid_loss is not None


def test_a_file_goes_to_the_store_without_the_key(fake: FakeTogether) -> None:
    with serving(fake, "together") as (backend, server):
        progress: list[int] = []
        with SpooledFile.of(LINES, filename="training.jsonl") as file:
            state = backend.upload(file, on_progress=progress.append)
            content = file.content()
        put = next(asked for asked in server.asked if asked.method == "PUT")
        assert put.body == content == backend.file_content(state.id)
        assert KEY not in str(put.headers)
        assert int(str(put.headers["content-length"])) == len(content) == state.size_bytes == progress[-1]
        assert [asked.path for asked in server.asked if asked.method != "GET"] == [
            "/v1/files",
            f"/storage/{state.id}",
            f"/v1/files/{state.id}/preprocess",
        ]


@pytest.mark.parametrize(
    ("status", "error"), [(403, RequestRefusedError), (503, HostUnavailableError), (302, RequestRefusedError)]
)
def test_the_address_of_the_store_is_a_secret(
    fake: FakeTogether, backend: HostedBackend, status: int, error: type[BackendError]
) -> None:
    fake.fault = lambda asked: Says(b"<Error/>", status) if asked.path.startswith("/storage/") else None
    with pytest.raises(error, match=f"answered HTTP {status}") as raised:
        sent(backend)
    assert "5ecret" not in str(raised.value)
    assert backend.files() == [], "nothing is there"


def test_a_store_that_hangs_up_is_trouble_for_now(fake: FakeTogether, backend: HostedBackend) -> None:
    fake.fault = lambda asked: Says(hang_up=True) if asked.path.startswith("/storage/") else None
    with pytest.raises(HostUnavailableError, match="broke off the connection") as raised:
        sent(backend)
    assert "5ecret" not in str(raised.value)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"location": "http://127.0.0.1:9/x"},
        {"x-together-file-id": "file-1"},
        {"location": "ftp://127.0.0.1/x", "x-together-file-id": "file-1"},
        {"location": "/relative", "x-together-file-id": "file-1"},
        {"location": "http://127.0.0.1:9/x", "x-together-file-id": ".."},
    ],
)
def test_an_answer_that_names_no_place_is_odd(headers: dict[str, str]) -> None:
    with (
        answering(Says(None, 302, headers), host="together") as (backend, _),
        pytest.raises(HostReplyError, match="did not say where to send it"),
    ):
        sent(backend)


def test_a_file_that_is_there_already_is_used_without_being_sent(fake: FakeTogether) -> None:
    with serving(fake, "together") as (backend, server):
        first = sent(backend)
        assert sent(backend) == first
        assert [asked.method for asked in server.asked].count("PUT") == 1
        assert sent(backend, LINES[:-1]) != first


@pytest.mark.parametrize("answer", [b"<html>", b"{}", b'{"file_id": 7}'])
def test_another_conflict_is_a_refusal(fake: FakeTogether, backend: HostedBackend, answer: bytes) -> None:
    fake.fault = lambda asked: Says(answer, 409) if asked.path == "/v1/files" else None
    with pytest.raises(RequestRefusedError, match="HTTP 409"):
        sent(backend)


def test_a_row_holds_what_the_host_takes_and_nothing_else(fake: FakeTogether, backend: HostedBackend) -> None:
    tool = {"type": "function", "function": {"name": "track", "parameters": {"type": "object", "properties": {}}}}
    rows: list[Any] = [
        {"messages": turns, "tools": [tool], "parallel_tool_calls": False, "source": n} for n, turns in enumerate(CHATS)
    ]
    Dataset.from_records(rows).split(0.9).train(BASE, backend=backend)
    assert {file["fault"] for file in fake.files.values()} == {None}
    [job] = fake.jobs.values()
    lines = fake.files[job["training_file"]]["content"].splitlines()
    assert {tuple(json.loads(line)) for line in lines} == {("messages", "tools")}


@pytest.mark.parametrize("colons", [False, True])
def test_a_checkpoint_of_a_model_trained_there_is_trained_further(
    fake: FakeTogether, backend: HostedBackend, *, colons: bool
) -> None:
    """By both forms in which its pages have the names of models."""
    fake.names_with_colons = colons
    name = finished(backend, backend.start(spec(sent(backend), suffix="one")).id)
    assert (":ft-" in name) == colons
    for further in (name, f"{name}:20"):
        resolved = backend.resolve(further)
        assert resolved.base
        with pytest.raises(RequestRefusedError) if further != name else nullcontext():
            backend.start(spec(sent(backend), model=resolved, suffix="two"))
    assert not backend.resolve("meta-llama/Meta-Llama-3.1-8B-Instruct-Reference").base


@pytest.mark.parametrize("path", ["", "/v1", "/v1/"])
def test_the_address_is_taken_with_and_without_its_path(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    """Together's own package has had it in both forms."""
    monkeypatch.setenv("TOGETHER_BASE_URL", f"https://api.together.ai{path}")
    assert HostedBackend(KEY, host="together").address == "https://api.together.ai/v1"


def test_what_the_host_calls_a_way_of_training_and_adds_for_validation_is_in_its_file(
    fake: FakeTogether, tmp_path: Path
) -> None:
    path = tmp_path / "hosts.json"
    told = {
        "validation_body": {"n_evals": 3},
        "method_words": {"supervised": "dpo"},
        "file_status_words": {"x": "error"},
    }
    path.write_text(json.dumps({"together": told}), "utf-8")
    fake.processing = "X"
    with serving(fake, "together", hosts=path) as (backend, _):
        file = sent(backend)
        assert backend.file(file).status == "error"
        assert backend._jobs.body(spec(file))["training_method"] == {"method": "dpo", "train_on_inputs": "auto"}
        assert backend._jobs.body(spec(file, validation_file=file))["n_evals"] == 3


def test_bytes_do_not_leave_a_safe_way(fake: FakeTogether) -> None:
    from finetune_kit.backends.hosted.dialects.together_files import TogetherFiles

    with HostedBackend(KEY, host="together") as backend:
        files = backend._files
        assert isinstance(files, TogetherFiles)
        assert files._is_fit("https://store.example/x")
        assert not files._is_fit("http://store.example/x")


def test_a_lost_answer_at_the_end_of_an_upload_is_unclear_and_the_file_is_found(
    fake: FakeTogether, backend: HostedBackend
) -> None:
    fake.lost = lambda asked: asked.path.endswith("/preprocess")
    with pytest.raises(UnclearOutcomeError, match="Whether a file was created is not known"):
        sent(backend)
    [found] = backend.files()
    assert (found.filename, found.size_bytes) == ("training.jsonl", len(b"\n".join(LINES)) + 1)


@pytest.mark.parametrize(
    ("progress", "status"),
    [("PENDING", "uploaded"), ("RUNNING", "uploaded"), ("COMPLETED", "processed"), ("INVALID_FORMAT", "error")],
)
def test_a_file_is_ready_when_the_host_has_looked_into_it(
    fake: FakeTogether, backend: HostedBackend, progress: str, status: str
) -> None:
    fake.processing = progress
    assert backend.file(sent(backend)).status == status


def test_what_is_wrong_with_a_file_is_told() -> None:
    report = {"valid": False, "error_type": "INVALID_FORMAT", "error": "Found extra column 'x'"}
    told = {"id": "file-1", "processing_status": "INVALID_FORMAT", "validation_report": report}
    with answering(Says(told), host="together") as (backend, _):
        state = backend.file("file-1")
    assert (state.status, state.reason) == ("error", "Found extra column 'x'")


def test_a_file_larger_than_one_piece_is_refused_before_it_is_sent(fake: FakeTogether, tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"together": {"max_file_bytes": 100}}), "utf-8")
    with serving(fake, "together", hosts=path) as (backend, server):
        with pytest.raises(FileTooLargeError, match="takes 100 at most"):
            sent(backend)
        assert server.asked == []


def test_a_model_that_cannot_be_trained_and_a_wrong_key_are_known_before_the_upload(fake: FakeTogether) -> None:
    with serving(fake, "together") as (backend, server):
        backend.preflight(backend.resolve(BASE))
        with pytest.raises(ModelClosedError, match="is not supported for fine-tuning"):
            backend.preflight(backend.resolve("meta-llama/another"))
        with (
            HostedBackend("wrong-key-0123456789", server.url, "together") as other,
            pytest.raises(AuthenticationError, match="Set TOGETHER_API_KEY") as raised,
        ):
            other.preflight(other.resolve(BASE))
    assert "wrong-key-0123456789" not in str(raised.value)


def test_the_key_and_another_address_come_from_the_environment(
    fake: FakeTogether, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(fake, "together") as (_, server):
        monkeypatch.setenv("TOGETHER_API_KEY", KEY)
        monkeypatch.setenv("TOGETHER_BASE_URL", server.url)
        with HostedBackend(host="together") as backend:
            assert backend.jobs() == []
            assert backend.address == server.url


def test_weights_are_written_so_that_only_what_should_be_is_learned(fake: FakeTogether, backend: HostedBackend) -> None:
    rows: list[Any] = [{"messages": turns} for turns in CHATS]
    rows[0] = {
        "messages": [
            *CHATS[0],
            {"role": "user", "content": "and?"},
            {"role": "assistant", "content": "no", "weight": 0},
        ]
    }
    Dataset.from_records(rows).split(0.9).train(BASE, backend=backend)
    [job] = fake.jobs.values()
    lines = fake.files[job["training_file"]]["content"].splitlines()
    weights = {(one["role"], one["weight"]) for line in lines for one in json.loads(line)["messages"]}
    assert ("user", 0) in weights
    assert ("user", 1) not in weights
    assert ("assistant", 1) in weights


def test_how_probable_answers_are_is_asked_by_a_number() -> None:
    said = {"tokens": ["yes"], "token_logprobs": [-0.1], "top_logprobs": None}
    choice = {"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop", "logprobs": said}
    with answering(Says({"choices": [choice]}), host="together") as (backend, host):
        [ranked] = backend.rank_chat("m", [[{"role": "user", "content": "?"}]], ["yes", "no"])
    assert host.asked[0].json["logprobs"] == 5
    assert "top_logprobs" not in host.asked[0].json
    assert ranked[0] > 0.99


def test_jobs_are_listed_at_once_and_from_behind_one(backend: HostedBackend) -> None:
    file = sent(backend)
    ids = [backend.start(spec(file, suffix=name)).id for name in ("a", "b", "c")]
    newest_first = ids[::-1]
    assert [state.id for state in backend.jobs()] == newest_first
    page = backend.job_page(after=newest_first[0], limit=1)
    assert ([state.id for state in page.jobs], page.more) == (newest_first[1:], False)


def test_a_job_that_has_ended_cannot_be_cancelled_and_stays_as_it_is(backend: HostedBackend) -> None:
    job = backend.start(spec(sent(backend)))
    finished(backend, job.id)
    assert backend.cancel(job.id).status == "succeeded"
