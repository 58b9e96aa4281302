"""DashScope: its own jobs and logs, told as OpenAI tells jobs and events."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import Dataset, HostedBackend, Split
from finetune_kit.backends import JobSpec
from finetune_kit.backends.hosted.dialects.dashscope_logs import Cursor, events_of, measured_in
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.errors import (
    AuthenticationError,
    BackendError,
    DataError,
    FileTooLargeError,
    HostReplyError,
    JobNotFoundError,
    JobSlotsError,
    ParameterError,
    QuotaError,
    RequestRefusedError,
    UnclearOutcomeError,
)
from finetune_kit.hosts import Resolved
from finetune_kit.results import Results
from finetune_kit.testing import check_backend
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.dialects.fake_dashscope import BEIJING, FakeDashScope, serving_dashscope
from tests.backends.hosted.scripted_host import KEY, Asked, Says, answering

BASE = "qwen3-8b"
LINES = [
    json.dumps({"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": "!"}]}).encode()
    for n in range(24)
]


@pytest.fixture
def fake() -> FakeDashScope:
    return FakeDashScope()


@pytest.fixture
def backend(fake: FakeDashScope) -> Generator[HostedBackend]:
    with serving_dashscope(fake) as (backend, _):
        yield backend


def sent(backend: HostedBackend) -> str:
    with SpooledFile.of(LINES, filename="training.jsonl") as file:
        return backend.upload(file).id


def spec(training_file: str, **more: Any) -> JobSpec:
    card = ModelCard(base=BASE, requested_model=BASE, backend="dashscope", kind="chat")
    return JobSpec(model=Resolved(requested=BASE, model=BASE), training_file=training_file, card=card, **more)


def finished(backend: HostedBackend, job_id: str) -> str:
    state = backend.job(job_id)
    while not state.finished:
        state = backend.job(job_id)
    assert state.fine_tuned_model is not None
    return state.fine_tuned_model


def is_creation(asked: Asked) -> bool:
    return asked.method == "POST" and asked.path == "/api/v1/fine-tunes"


def talk(*more: dict[str, object], rows: int = 30) -> list[dict[str, object]]:
    turn = {"role": "user", "content": "还有货吗?"}
    return [
        {"messages": [{**turn, "content": f"{n}?"}, {"role": "assistant", "content": "有"}, *more]} for n in range(rows)
    ]


PAIRS: list[Any] = [
    {
        "input": {"messages": [{"role": "user", "content": f"{n}?"}]},
        "preferred_output": [{"role": "assistant", "content": "好"}],
        "non_preferred_output": [{"role": "assistant", "content": "不"}],
    }
    for n in range(30)
]


def test_it_keeps_every_promise(fake: FakeDashScope, tmp_path: Path) -> None:
    """With no word for models that the profile does not know, so that every promise can be tried."""
    path = tmp_path / "hosts.json"
    settings = {"batch_size": 8, "max_length": 8192}  # the suite trains on few rows
    path.write_text(json.dumps({"dashscope": {"any_model": False, "extra_hyperparameters": settings}}), "utf-8")
    fake.deploys_at_once = True  # the suite knows of no deployments
    with serving_dashscope(fake) as (_, server):
        address = server.url.removesuffix("/v1")
        names = check_backend(
            lambda: HostedBackend(KEY, address, "dashscope", hosts=path), model=BASE, patience_seconds=20
        )
    assert "another_instance_knows_it_all" in names


def test_what_the_host_must_know_is_sent(fake: FakeDashScope, backend: HostedBackend) -> None:
    file = sent(backend)
    settings = Hyperparameters(n_epochs=3, learning_rate_multiplier=1.6e-5)
    order = spec(file, validation_file=file, hyperparameters=settings, suffix="kefu")
    backend.start(order)
    [job] = fake.jobs.values()
    assert job["hyper_parameters"] == {"n_epochs": 3, "batch_size": 16, "max_length": 8192, "learning_rate": "1.6e-05"}
    assert (job["training_file_ids"], job["validation_file_ids"]) == ([file], [file])
    assert (job["training_type"], job["finetuned_output_suffix"]) == ("efficient_sft", "kefu")
    assert job["job_name"] == f"ftk-{order.token}"


def test_full_training_is_one_line_in_a_file_of_ones_own(fake: FakeDashScope, tmp_path: Path) -> None:
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"dashscope": {"extra_body": {"training_type": "sft"}}}), "utf-8")
    with serving_dashscope(fake, hosts=path) as (backend, _):
        backend.start(spec(sent(backend)))
    assert [job["training_type"] for job in fake.jobs.values()] == ["sft"]


@pytest.mark.parametrize("keeps_names", [True, False])
def test_a_job_whose_answer_was_lost_is_found_among_others_on_the_same_file(
    fake: FakeDashScope, backend: HostedBackend, *, keeps_names: bool
) -> None:
    fake.keeps_names = keeps_names
    order = spec(sent(backend), suffix="kefu")
    backend.start(replace(order, token="0" * 32, hyperparameters=Hyperparameters(n_epochs=9)))
    backend.start(replace(order, token="1" * 32, suffix="other"))
    if keeps_names:
        backend.start(replace(order, token="2" * 32))
    fake.lost = is_creation
    with pytest.raises(UnclearOutcomeError, match="Whether a job was created is not known"):
        backend.start(order)
    [found] = backend.started(order)
    assert found.id == [*fake.jobs][-1]


def test_train_starts_one_job_though_the_answer_is_lost_and_says_how_to_deploy(
    fake: FakeDashScope, backend: HostedBackend
) -> None:
    asked = 0

    def lost_once(request: Asked) -> bool:
        nonlocal asked
        asked += is_creation(request)
        return is_creation(request) and asked == 1

    fake.lost = lost_once
    job = Dataset.from_records(talk()).split(0.8).train(BASE, backend=backend).wait()
    assert len(fake.jobs) == 1
    name = finished(backend, job.id)
    with pytest.raises(BackendError, match=rf'"model_name": "{name}".*"plan": "lora"'):
        job.model()
    fake.deploy(name, name="parcels")
    assert job.model(deployment="parcels").chat([{"role": "user", "content": "77?"}]) == "有"


@pytest.mark.parametrize(("rows", "size"), [(22, 16), (21, 8), (12, 8)])
def test_a_batch_is_one_that_the_examples_fill(
    fake: FakeDashScope, backend: HostedBackend, rows: int, size: int
) -> None:
    """The host keeps a fifth of the file for validation, and fails a job that has no more examples than one batch."""
    job = Split(Dataset.from_records(talk(rows=rows))).train(BASE, backend=backend).wait()
    assert [one["hyper_parameters"]["batch_size"] for one in fake.jobs.values()] == [size]
    assert job.state.status == "succeeded"


@pytest.mark.parametrize(("rows", "size", "advice"), [(20, 16, "Pass batch_size=8"), (10, None, "Add examples")])
def test_too_large_a_batch_is_refused_before_the_upload(
    backend: HostedBackend, rows: int, size: int | None, advice: str
) -> None:
    split = Split(Dataset.from_records(talk(rows=rows)))
    with pytest.raises(ParameterError, match=rf"more examples than one batch holds.*{advice}"):
        split.train(BASE, backend=backend, batch_size=size)
    assert backend.files() == []


@pytest.mark.parametrize("given", [{"seed": 1}, {"method": "dpo", "beta": 0.1}])
def test_what_the_host_does_not_take_is_refused_and_not_left_out(backend: HostedBackend, given: dict[str, Any]) -> None:
    rows = talk() if "seed" in given else PAIRS
    with pytest.raises(ParameterError, match="'dashscope' is not known to take one"):
        Dataset.from_records(rows).split(0.9).train(BASE, backend=backend, **given)
    assert backend.files() == []


def test_prompts_and_completions_are_sent_as_conversations(fake: FakeDashScope, backend: HostedBackend) -> None:
    split = Dataset.from_records([(f"{n}号包裹在哪?", "查询") for n in range(30)]).split(0.8)
    job = split.train(BASE, backend=backend)
    assert "takes conversations alone" in backend.events(job.id)[0].message
    [told] = fake.jobs.values()
    line = json.loads(fake.files[told["training_file_ids"][0]]["content"].splitlines()[0])
    assert [message["role"] for message in line["messages"]] == ["user", "assistant"]


def test_an_answer_of_weight_0_is_refused_with_its_row_since_it_would_be_learned(backend: HostedBackend) -> None:
    rows = talk()
    rows[3] = talk({"role": "user", "content": "?"}, {"role": "assistant", "content": "没有", "weight": 0})[3]
    with pytest.raises(DataError, match=r"(?s)knows no weights.*weight is 0") as raised:
        Dataset.from_records(rows).split(0.8).train(BASE, backend=backend)
    assert "unheeded_weight" in str(raised.value)
    assert backend.files() == []
    report = Dataset.from_records(rows).validate(host="dashscope")
    [issue] = [issue for issue in report.issues if issue.code == "unheeded_weight"]
    assert (issue.row, issue.field) == (3, "messages[3].weight")


def test_weights_of_1_are_left_out(fake: FakeDashScope, backend: HostedBackend) -> None:
    rows = talk({"role": "user", "content": "?"}, {"role": "assistant", "content": "没有", "weight": 1})
    Dataset.from_records(rows).split(0.8).train(BASE, backend=backend)
    assert all(b"weight" not in file["content"] for file in fake.files.values())


def test_pairs_of_answers_are_written_as_the_host_has_them(fake: FakeDashScope, backend: HostedBackend) -> None:
    job = Dataset.from_records(PAIRS).split(0.8).train(BASE, backend=backend, method="dpo").wait()
    [told] = fake.jobs.values()
    assert told["training_type"] == "dpo_lora"
    line = json.loads(fake.files[told["training_file_ids"][0]]["content"].splitlines()[0])
    assert line.keys() == {"messages", "chosen", "rejected"}
    assert line["chosen"] == {"role": "assistant", "content": "好"}
    assert job.state.status == "succeeded"


@pytest.mark.parametrize(
    ("word", "ours"),
    [
        ("PENDING", "queued"),
        ("QUEUING", "queued"),
        ("RUNNING", "running"),
        ("CANCELING", "cancelling"),
        ("CANCELED", "cancelled"),
        ("SUCCEEDED", "succeeded"),
        ("SUCCEED", "succeeded"),
        ("FAILED", "failed"),
        ("A_NEW_ONE", "a_new_one"),
    ],
)
def test_statuses_are_told_in_our_words(word: str, ours: str) -> None:
    told = {
        "job_id": "ft-202410291653-1c7f",
        "status": word,
        "model": BASE,
        "finetuned_output": "qwen3-8b-ft-202410291653-1c7f",
        "create_time": "2024-10-29 16:53:53",
        "end_time": "2024-10-29 17:11:26",
        "usage": 279808,
        "training_datasets": [{"data_source_type": "file_id", "file_id": "file-1"}],
    }
    with answering(Says({"request_id": "r", "output": told}), host="dashscope") as (backend, _):
        state = backend.job("ft-202410291653-1c7f")
    assert (state.status, state.finished) == (ours, ours in {"succeeded", "failed", "cancelled"})
    assert (state.fine_tuned_model is not None) == (ours == "succeeded"), "its name stands there before it"
    assert state.created_at == datetime(2024, 10, 29, 8, 53, 53, tzinfo=UTC), "the host tells the time of Beijing"
    assert (state.finished_at is not None) == state.finished
    assert (state.training_file, state.trained_tokens) == ("file-1", 279808)


@pytest.mark.parametrize(
    ("more", "words"),
    [({"message": "训练数据格式错误", "code": "DataError"}, "训练数据格式错误"), ({}, "gives no reason")],
)
def test_a_failed_job_says_why_in_the_hosts_words_or_where_to_look(more: dict[str, str], words: str) -> None:
    told = {"output": {"job_id": "ft-1", "status": "FAILED", **more}}
    with answering(Says(told), host="dashscope") as (backend, _):
        fault = backend.job("ft-1").fault
    assert fault is not None
    assert words in fault.message


@pytest.mark.parametrize(
    ("status", "code", "message", "error"),
    [
        (400, "InvalidParameter", "模型不支持调优", RequestRefusedError),
        (400, "Arrearage", "Access denied, please make sure your account is in good standing.", QuotaError),
        (401, "InvalidApiKey", "Invalid API-key provided.", AuthenticationError),
        (429, "Throttling", "Too many fine-tune job in running, please retry later.", JobSlotsError),
        (429, "Throttling", "Only 20 fine-tune job in running or succeeded allowed per user.", JobSlotsError),
        (500, "InternalError", "Internal server error!", UnclearOutcomeError),
    ],
)
def test_refusals_keep_the_hosts_words(status: int, code: str, message: str, error: type[BackendError]) -> None:
    says = Says({"code": code, "request_id": "r", "message": message}, status)
    with answering(says, host="dashscope") as (backend, host), pytest.raises(error, match=message[:20]) as raised:
        backend.start(spec("file-1"))
    assert len(host.asked) == 1
    assert KEY not in str(raised.value)


@pytest.mark.parametrize("answer", [{}, {"output": None}, {"output": {"status": "PENDING"}}, {"output": []}])
def test_an_answer_without_a_job_is_unclear(answer: dict[str, object]) -> None:
    with answering(Says(answer), host="dashscope") as (backend, _), pytest.raises(UnclearOutcomeError):
        backend.start(spec("file-1"))


@pytest.mark.parametrize("answer", [{}, {"output": {"jobs": None}}, {"output": {"total": 3}}])
def test_a_list_without_jobs_is_odd(answer: dict[str, object]) -> None:
    with answering(Says(answer), host="dashscope") as (backend, _), pytest.raises(HostReplyError, match="no 'jobs'"):
        backend.jobs()


def test_lists_are_read_to_their_end_whatever_moves_meanwhile() -> None:
    jobs = [{"job_id": f"ft-{n}", "status": "RUNNING", "create_time": "2024-10-29 16:53:53"} for n in range(250)]

    def pages(asked: Asked) -> Says:
        page, size = (int(asked.query[key][0]) for key in ("page_no", "page_size"))
        moved = jobs if page == 1 else [{"job_id": "ft-new", "status": "PENDING"}, *jobs]
        shown = moved[(page - 1) * size : page * size]
        return Says({"output": {"page_no": page, "page_size": size, "total": len(moved), "jobs": shown}})

    with answering(pages, host="dashscope") as (backend, host):
        found = [state.id for state in backend.jobs()]
    assert sorted(found) == sorted(str(job["job_id"]) for job in jobs)
    assert len(host.asked) == 3


def test_jobs_are_told_at_once_from_behind_one(backend: HostedBackend) -> None:
    file = sent(backend)
    ids = [backend.start(spec(file, suffix=name)).id for name in ("a", "b", "c")]
    newest_first = [state.id for state in backend.jobs()]
    assert sorted(newest_first) == sorted(ids)
    page = backend.job_page(after=newest_first[0], limit=1)
    assert ([state.id for state in page.jobs], page.more) == (newest_first[1:], False)


def test_the_log_is_read_from_where_it_was_left(fake: FakeDashScope) -> None:
    with serving_dashscope(fake) as (backend, server):
        job = backend.start(spec(sent(backend)))
        finished(backend, job.id)
        at_once = backend.events(job.id)
        assert len(at_once) > 5
        seen = backend.events(job.id, after=at_once[3].id)
        assert seen == at_once[4:]
        assert server.asked[-1].query["offset"] == ["4"]
        assert backend.events(job.id, after="of another log") == at_once
        assert backend.events(job.id, after=f"{job.id}:99999999999999999999:1") == []


LOG = [
    "2024-10-29 17:03:47,719 - INFO - 开始训练",
    "{'loss': 1.5, 'grad_norm': 2.0, 'learning_rate': 1.6e-05, 'epoch': 0.1, 'note': 'x'}",
    "{'loss': 1.25, 'epoch': 0.2}",
    "{'eval_loss': 1.125, 'eval_acc': 0.5}",
    "{'train_runtime': 216.4, 'train_loss': 0.9122632344563802, 'epoch': 0.857}",
    " Actual number of consumed tokens is 279808!",
    "2024-10-29 16:00:00 - WARNING - an earlier time",
    "2024-13-40 25:00:00,000 - ERROR - no time at all",
]


def test_lines_of_the_log_are_events_whose_times_never_go_back() -> None:
    start = int(datetime(2024, 10, 29, 16, 53, 53, tzinfo=BEIJING).timestamp())
    events = events_of(LOG, Cursor("ft-1", 0, start), BEIJING)
    assert events[0].message == "开始训练"
    assert events[0].created_at == datetime(2024, 10, 29, 9, 3, 47, tzinfo=UTC)
    assert events[1].data["loss"] == 1.5
    assert [event.level for event in events[-2:]] == ["warn", "error"]
    assert {event.created_at for event in events[1:]} == {events[0].created_at}
    assert len({event.id for event in events}) == len(events)
    assert {event.type for event in events} == {"message"}, "no line names its step"
    [told] = events_of(["{'loss': 1.0, 'global_step/max_steps': '12/100'}"], Cursor("ft-1", 0, start), BEIJING)
    assert (told.type, told.data["step"]) == ("metrics", 12)


def test_what_was_measured_stands_at_steps() -> None:
    rows = [dict(row) for row in measured_in(LOG, steps_between=None)]
    assert [(row["step"], row.get("loss"), row.get("eval_loss")) for row in rows] == [
        (5, 1.5, None),
        (10, 1.25, None),
        (10, None, 1.125),
    ]
    assert [row["step"] for row in measured_in(LOG, steps_between=1)] == [1, 2, 2]


@given(st.lists(st.one_of(st.text(), st.none(), st.dictionaries(st.text(), st.floats()))), st.integers(0, 9))
def test_any_log_is_read(lines: list[Any], first: int) -> None:
    events = events_of(lines, Cursor("ft-1", first, 1), BEIJING)
    assert len(events) == len(lines)
    assert all(Cursor.of(event.id, "ft-1") is not None for event in events)
    measured_in(lines, steps_between=None)


def test_the_log_becomes_a_result_file(backend: HostedBackend) -> None:
    file = sent(backend)
    job = backend.start(spec(file, validation_file=file))
    finished(backend, job.id)
    [name] = backend.job(job.id).result_files
    rows = Results.parse(backend.file_content(name)).metrics
    assert rows[0].step == 5
    assert all(row.train_loss is not None for row in rows)
    assert rows[-1].valid_loss is not None


def test_only_published_checkpoints_can_be_called(backend: HostedBackend) -> None:
    job = backend.start(spec(sent(backend)))
    name = finished(backend, job.id)
    [checkpoint] = backend.checkpoints(job.id)
    assert (checkpoint.name, checkpoint.step) == (name, 20)


def test_a_model_trained_there_tells_its_base_whatever_its_suffix(backend: HostedBackend) -> None:
    name = "qwen3-14b-my-qwen-ft-202410291653-1c7f"
    assert backend.resolve(name).base == "qwen3-14b"
    assert backend.resolve("qwen9-800b").base == ""


def test_files_of_other_purposes_are_none_of_ours_and_300_mb_the_most(
    fake: FakeDashScope, backend: HostedBackend, tmp_path: Path
) -> None:
    file_id = sent(backend)
    assert [state.id for state in backend.files()] == [file_id]
    assert backend.profile.max_file_bytes == 300_000_000
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"dashscope": {"max_file_bytes": 100}}), "utf-8")
    with serving_dashscope(fake, hosts=path) as (small, server):
        with pytest.raises(FileTooLargeError, match="takes 100 at most"):
            sent(small)
        assert server.asked == []


def test_a_wrong_key_is_known_before_the_upload(fake: FakeDashScope) -> None:
    with (
        serving_dashscope(fake) as (_, server),
        HostedBackend("wrong-key-0123456789", server.url.removesuffix("/v1"), "dashscope") as other,
        pytest.raises(AuthenticationError, match="Set DASHSCOPE_API_KEY") as raised,
    ):
        other.preflight(other.resolve(BASE))
    assert "wrong-key-0123456789" not in str(raised.value)


def test_a_job_that_has_ended_cannot_be_cancelled_and_one_that_is_not_there_is_unknown(backend: HostedBackend) -> None:
    job = backend.start(spec(sent(backend)))
    finished(backend, job.id)
    assert backend.cancel(job.id).status == "succeeded"
    with pytest.raises(JobNotFoundError):
        backend.cancel("ft-202410291653-ffff")


@pytest.mark.parametrize(
    "address",
    [
        "https://dashscope-intl.aliyuncs.com",
        "https://dashscope-intl.aliyuncs.com/api/v1",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/",
    ],
)
def test_the_international_address_is_taken_in_each_of_its_forms(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    compatible = "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
    assert HostedBackend(base_url=address, host="dashscope").address == compatible
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", address)
    backend = HostedBackend(host="dashscope")
    assert backend.address == compatible
    assert backend._jobs.root == "https://dashscope-intl.aliyuncs.com/api/v1/fine-tunes"


def test_by_itself_the_address_is_that_of_beijing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_HTTP_BASE_URL", raising=False)
    assert HostedBackend(KEY, host="dashscope").address == "https://dashscope.aliyuncs.com/compatible-mode/v1"
