"""The official client finds at the simulated host what it would find at the real one."""

from __future__ import annotations

import asyncio
import base64
import sys
import threading

import pytest
from openai import APIConnectionError, AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError, OpenAI

from finetune_kit.errors import MissingExtraError
from finetune_kit.results import Results
from finetune_kit.testing import HostSimulator
from tests.testing.simulator.clients import chat_lines, client_of, ended, started, uploaded


def test_a_file_comes_back_byte_for_byte(client: OpenAI) -> None:
    content = chat_lines(5)
    file = uploaded(client, content)
    assert (file.bytes, file.filename, file.purpose, file.status) == (
        len(content),
        "training.jsonl",
        "fine-tune",
        "processed",
    )
    assert client.files.content(file.id).read() == content
    assert client.files.retrieve(file.id) == file


def test_files_are_listed_in_pages_the_newest_first(client: OpenAI) -> None:
    ids = [uploaded(client, filename=f"{n}.jsonl").id for n in range(5)]
    assert [file.id for file in client.files.list(limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(order="asc", limit=2, after=ids[1]).data] == ids[2:4]
    assert client.files.list(purpose="batch").data == []


def test_a_deleted_file_is_gone(client: OpenAI) -> None:
    file = uploaded(client)
    assert client.files.delete(file.id).deleted
    with pytest.raises(NotFoundError, match="No such File object"):
        client.files.retrieve(file.id)


def test_a_job_runs_to_its_end_and_its_model_answers(host: HostSimulator, client: OpenAI) -> None:
    job = client.fine_tuning.jobs.create(
        model="gpt-4.1",
        training_file=uploaded(client).id,
        validation_file=uploaded(client, chat_lines(4)).id,
        suffix="parcels",
        seed=7,
        metadata={"ftk_token": "abc"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    assert (job.status, job.model, job.seed) == ("validating_files", "gpt-4.1-2025-04-14", 7)
    assert repr(job.error).startswith("Error(code=None")  # the trap of an empty object, as in reality
    job = ended(client, job.id)
    assert job.status == "succeeded"
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith("ft:gpt-4.1-2025-04-14:simulator:parcels:")
    assert job.finished_at is not None
    assert job.finished_at >= job.created_at
    answer = client.chat.completions.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "Where, oh where is parcel 77?"}]
    )
    assert answer.choices[0].message.content == "track"
    assert host.jobs[0]["fine_tuned_model"] == job.fine_tuned_model


def test_events_come_the_newest_first_and_in_pages_none_is_missed_or_repeated(client: OpenAI) -> None:
    job = ended(client, started(client).id)
    at_once = client.fine_tuning.jobs.list_events(job.id, limit=100).data
    assert at_once[0].message == "The job has successfully completed"
    assert at_once[-1].message == f"Created fine-tuning job: {job.id}"
    paged = list(client.fine_tuning.jobs.list_events(job.id, limit=7))
    assert [event.id for event in paged] == [event.id for event in at_once]
    steps = [event.data["step"] for event in reversed(at_once) if isinstance(event.data, dict)]
    assert steps == sorted(steps)
    assert len(steps) == 60  # 20 examples, one a step, three epochs where none are asked for


def test_results_are_base64_in_the_columns_of_today(client: OpenAI) -> None:
    job = ended(client, started(client).id)
    content = client.files.content(job.result_files[0]).read()
    plain = base64.b64decode(content, validate=True)
    assert plain.startswith(b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,1.0,0.0,,\n")
    assert [row.step for row in Results.parse(plain).metrics] == list(range(1, 61))


def test_checkpoints_answer(client: OpenAI) -> None:
    job = ended(client, started(client).id)
    [newer, older] = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert (newer.step_number, older.step_number) == (40, 20)
    answer = client.chat.completions.create(
        model=older.fine_tuned_model_checkpoint, messages=[{"role": "user", "content": "Where is parcel 1?"}]
    )
    assert answer.choices[0].message.content == "track"


def test_jobs_are_listed_in_pages_and_by_their_metadata(client: OpenAI) -> None:
    file = uploaded(client)
    ids = [
        client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id, metadata={"ftk_token": str(n % 2)}).id
        for n in range(6)
    ]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=4)] == ids[::-1]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"ftk_token": "1"}, limit=2)] == ids[5:0:-2]
    assert client.fine_tuning.jobs.list(metadata={"ftk_token": "none"}).data == []


def test_a_job_can_be_cancelled_once(client: OpenAI) -> None:
    job = started(client)
    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"
    with pytest.raises(BadRequestError, match="already completed"):
        client.fine_tuning.jobs.cancel(job.id)


def test_a_paused_job_rests_until_it_is_resumed(client: OpenAI) -> None:
    job = started(client)
    assert str(client.fine_tuning.jobs.pause(job.id).status) == "paused"
    assert str(client.fine_tuning.jobs.retrieve(job.id).status) == "paused"
    client.fine_tuning.jobs.resume(job.id)
    assert ended(client, job.id).status == "succeeded"


def test_an_answer_has_its_probabilities(client: OpenAI) -> None:
    model = ended(client, started(client).id).fine_tuned_model or ""
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Where is parcel 1?"}], logprobs=True, top_logprobs=5
    )
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content is not None
    [token] = logprobs.content
    assert token.token == "track"
    assert [one.token for one in token.top_logprobs] == ["track", "refund"]
    assert token.logprob == token.top_logprobs[0].logprob > -0.01


def test_an_answer_can_be_streamed(client: OpenAI) -> None:
    model = ended(client, started(client).id).fine_tuned_model or ""
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "Where is parcel 1?"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "track"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 1


def test_a_base_that_only_completes_completes(client: OpenAI) -> None:
    lines = b"\n".join(b'{"prompt": "parcel %d ->", "completion": " track"}' % n for n in range(12))
    file = uploaded(client, lines)
    job = ended(client, client.fine_tuning.jobs.create(model="davinci-002", training_file=file.id).id)
    answer = client.completions.create(model=job.fine_tuned_model or "", prompt=["parcel 99 ->", "parcel 1 ->"])
    assert [choice.text for choice in answer.choices] == [" track", " track"]
    with pytest.raises(NotFoundError, match="not a chat model"):
        client.chat.completions.create(model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "Hi"}])


def test_a_test_may_say_what_a_base_learns_from() -> None:
    lines = b"\n".join(b'{"prompt": "parcel %d ->", "completion": " track"}' % n for n in range(12))
    with HostSimulator(models={"gpt-4.1": ("chat", "completion")}) as host, client_of(host) as client:
        for content in (lines, chat_lines()):
            file = uploaded(client, content)
            job = client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id)
            assert ended(client, job.id).status == "succeeded"
        assert [model.id for model in client.models.list()][:1] == ["gpt-4.1"]


def test_a_wrong_key_is_refused_and_part_of_it_comes_back(host: HostSimulator) -> None:
    client = OpenAI(api_key="sk-wrong-key-of-somebody", base_url=host.base_url, max_retries=0)
    with pytest.raises(AuthenticationError, match=r"sk-wrong\*+body"):
        client.models.list()
    assert host.requests[-1].status == 401


def test_the_record_of_requests_holds_no_key(host: HostSimulator, client: OpenAI) -> None:
    client.models.list()
    assert host.api_key not in repr(list(host.requests)) + repr(host)
    assert [(one.method, one.path, one.status) for one in host.requests] == [("GET", "/models", 200)]


def test_every_answer_has_a_date_and_a_request_id(client: OpenAI) -> None:
    answers = [client.models.with_raw_response.list().headers for _ in range(2)]
    assert all(answer["date"].endswith(" GMT") for answer in answers)
    assert len({answer["x-request-id"] for answer in answers}) == 2


def test_the_asynchronous_client_is_served_too(host: HostSimulator) -> None:
    async def ask() -> list[str]:
        async with AsyncOpenAI(api_key=host.api_key, base_url=host.base_url) as client:
            pages = await asyncio.gather(*(client.models.list() for _ in range(8)))
            return [page.data[0].id for page in pages]

    assert set(asyncio.run(ask())) == {"gpt-4.1-2025-04-14"}


def test_several_hosts_run_at_once_and_leave_no_thread_behind() -> None:
    with HostSimulator() as one, HostSimulator(seed=1) as other:
        assert one.base_url != other.base_url
        with client_of(one) as client, client_of(other) as another:
            file = uploaded(client)
            assert [known.id for known in client.files.list()] == [file.id]
            assert another.files.list().data == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("host-simulator")] == []


def test_a_host_that_does_not_run_has_no_address() -> None:
    with pytest.raises(RuntimeError, match="start"):
        _ = HostSimulator().base_url


def test_the_same_seed_gives_the_same_ids() -> None:
    ids: list[str] = []
    for _ in range(2):
        with HostSimulator(seed=3) as host, client_of(host) as client:
            ids.append(uploaded(client).id)
    assert ids[0] == ids[1]


def test_a_missing_package_is_told_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r'pip install "finetune_kit\[server\]"'):
        HostSimulator().start()


def test_a_port_that_is_taken_is_an_error_at_once(host: HostSimulator) -> None:
    port = int(host.endpoint.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        HostSimulator(port=port).start()


def test_a_host_that_is_down_for_a_while_comes_back_as_it_was(host: HostSimulator, client: OpenAI) -> None:
    job = started(client)
    host.stop()
    with pytest.raises(APIConnectionError):
        client.fine_tuning.jobs.retrieve(job.id)
    host.start()
    assert ended(client, job.id).status == "succeeded"
    assert client.files.content(job.training_file).read() == chat_lines()
