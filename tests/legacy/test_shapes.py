"""Replies have the fields, types and words that scripts of 2023 read."""

from __future__ import annotations

import copy
import json
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import finetune_kit.legacy as openai
from finetune_kit import ModelCard, ModelClient
from finetune_kit.backends import Event, Generation, Sampling
from finetune_kit.legacy.replies import Reply
from finetune_kit.testing import MemoryBackend

FILE = {"id": str, "object": str, "bytes": int, "created_at": int, "filename": str, "purpose": str, "status": str}
EVENT = {"object": str, "created_at": int, "level": str, "message": str}
JOB = {
    "id": str,
    "object": str,
    "model": str,
    "created_at": int,
    "updated_at": int,
    "status": str,
    "hyperparams": dict,
    "organization_id": str,
    "training_files": list,
    "validation_files": list,
    "result_files": list,
}
QUESTION = "炒蛋多少钱?\n\n###\n\n"
ANSWER = " 炒蛋今天20元"

pytestmark = pytest.mark.usefixtures("memory", "prepared")


def has(reply: Reply, fields: dict[str, type]) -> bool:
    """Whether these fields are there, with these types, as keys and as attributes."""
    assert {name: type(reply[name]) for name in fields if not isinstance(reply[name], fields[name])} == {}
    return all(getattr(reply, name) == reply[name] for name in fields)


def start(**more: Any) -> Reply:
    return openai.FineTune.create(training_file="train_data", validation_file="valid_data", **more)


def ended(job: Reply) -> Reply:
    while job.status in ("pending", "running"):
        job = openai.FineTune.retrieve(id=job.id)
    return job


def test_a_new_job() -> None:
    job = start(model="davinci", batch_size=2)
    assert has(job, JOB)
    assert (job.object, job.status, job["fine_tuned_model"], job.result_files) == ("fine-tune", "pending", None, [])
    assert job.hyperparams.batch_size == 2
    assert job.hyperparams["n_epochs"] == 4
    assert abs(job.created_at - time.time()) < 60
    assert all(has(event, EVENT) for event in job.events)
    assert job.events[0].object == "fine-tune-event"
    [training], [validation] = job.training_files, job.validation_files
    assert has(training, FILE)
    assert has(validation, FILE)
    assert training.purpose == "fine-tune"


def test_a_job_goes_through_the_words_of_then(memory: MemoryBackend) -> None:
    job = start()
    seen = [job.status]
    while seen[-1] in ("pending", "running"):
        seen.append(openai.FineTune.retrieve(job["id"])["status"])
    assert list(dict.fromkeys(seen)) == ["pending", "running", "succeeded"]
    assert openai.FineTune.retrieve(start(suffix="b").id).status == "pending"
    failing = start(suffix="c")
    memory.fail(failing.id, "it broke")
    assert openai.FineTune.retrieve(failing.id).status == "failed"
    assert openai.FineTune.list_events(failing.id).data[-1].message == "Failed: it broke"
    assert ended(openai.FineTune.cancel(start(suffix="d").id)).status == "cancelled"


def test_a_job_that_succeeded() -> None:
    job = ended(start())
    assert job["fine_tuned_model"].startswith("ft:")
    assert job.get("result_files", [])[0].purpose == "fine-tune-results"
    assert job.hyperparams.learning_rate_multiplier == 1.0
    assert job.updated_at >= job.created_at


def test_a_result_file_is_taken_by_id_by_itself_and_by_its_key() -> None:
    [result] = ended(start()).result_files
    contents = {openai.File.download(id=one) for one in (result, result.id, result["id"])}
    assert len(contents) == 1
    header = contents.pop().decode().splitlines()[0].split(",")
    assert header[:4] == ["step", "elapsed_tokens", "elapsed_examples", "training_loss"]
    assert {"training_token_accuracy", "validation_loss", "validation_token_accuracy", "train_loss"} < set(header)
    assert openai.File.retrieve(result).id == result.id


def test_lists() -> None:
    first, second = start(), start(suffix="again")
    listed = openai.FineTune.list()
    assert listed.object == "list"
    assert [job["id"] for job in listed["data"]] == [first.id, second.id]
    assert all(has(job, JOB) and "events" not in job for job in listed.data)
    files = openai.File.list()
    assert files.object == "list"
    assert all(has(file, FILE) for file in files.data)
    assert [event.message for event in openai.FineTune.list_events(id=first.id)["data"]]
    assert [event.object for event in openai.FineTune.stream_events(first.id)][-1] == "fine-tune-event"


def test_the_old_suffix_may_hold_anything() -> None:
    assert ":my-bot--v2-:" in ended(start(suffix="My Bot, v2!"))["fine_tuned_model"]


def test_files_go_and_come_back_to_the_letter(prepared: Path) -> None:
    with Path("train_data").open("rb") as file:
        stored = openai.File.create(file=file, purpose="fine-tune")
    assert has(stored, FILE)
    assert stored.filename == "train_data"
    assert openai.File.wait_for_processing(stored.id) == "processed"
    assert openai.File.download(stored.id) == (prepared / "train_data").read_bytes()
    assert [one.id for one in openai.File.find_matching_files("train_data", stored.bytes, "fine-tune")] == [stored.id]
    named = openai.File.create(file=b'{"prompt":"a","completion":"b"}', purpose="fine-tune", user_provided_filename="n")
    assert named.filename == "n"
    assert openai.File.delete(stored.id) == {"id": stored.id, "object": "file", "deleted": True}
    with pytest.raises(openai.error.InvalidRequestError) as caught:
        openai.File.retrieve(stored.id)
    assert caught.value.http_status == 404


def test_text_handles_and_tables_are_taken_too(tmp_path: Path) -> None:
    with Path("train_data").open(encoding="utf-8") as file:
        assert openai.File.create(file=file, purpose="fine-tune").bytes == Path("train_data").stat().st_size
    Path("table").write_text("prompt,completion\na ->, b\nc ->, d\n", encoding="gb18030")
    sent = openai.File.download(openai.File.create(file=Path("table"), purpose="fine-tune").id)
    assert json.loads(sent.splitlines()[0]) == {"prompt": "a ->", "completion": " b"}


def test_a_job_on_an_uploaded_file_uses_that_file() -> None:
    stored = openai.File.create(file=Path("train_data"), purpose="fine-tune")
    for given in (stored.id, stored):
        job = ended(openai.FineTune.create(training_file=given))
        assert [file.id for file in job.training_files] == [stored.id]
        reply = openai.Completion.create(model=job.fine_tuned_model, prompt=QUESTION, stop=["END"])
        assert reply["choices"][0]["text"] == ANSWER


def test_a_completion() -> None:
    model = ended(start())["fine_tuned_model"]
    reply = openai.Completion.create(
        model=model, prompt=QUESTION, temperature=0, max_tokens=50, top_p=1, frequency_penalty=0, stop=["END"]
    )
    assert reply["object"] == "text_completion"
    assert reply.model == model
    [choice] = reply["choices"]
    assert choice == {"text": ANSWER, "index": 0, "logprobs": None, "finish_reason": "stop"}
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage["completion_tokens"]
    assert openai.Completion.create(engine=model, prompt=QUESTION, stop="END").choices[0].text == ANSWER


def test_several_prompts_and_answers_come_in_the_old_order() -> None:
    model = ended(start())["fine_tuned_model"]
    asked = [QUESTION, QUESTION.replace("炒蛋", "豆腐")]
    reply = openai.Completion.create(model=model, prompt=asked, n=2, echo=True, stop="END")
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    assert [choice.text for choice in reply.choices] == [
        f"{asked[n // 2]} {'炒蛋豆腐'[n // 2 * 2 :][:2]}今天2{n // 2}元" for n in range(4)
    ]
    parts = openai.Completion.create(model=model, prompt=asked, stop="END", stream=True)
    assert [part.choices[0].text for part in parts] == [ANSWER, ANSWER.replace("炒蛋", "豆腐").replace("0", "1")]


def test_a_chat() -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}!"}]}
        for n in range(12)
    ]
    Path("chats").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    model = ended(openai.FineTune.create(training_file="chats"))["fine_tuned_model"]
    reply = openai.ChatCompletion.create(model=model, messages=[{"role": "user", "content": "7?"}])
    assert reply.object == "chat.completion"
    assert reply["choices"][0]["message"] == {"role": "assistant", "content": "7!"}
    assert reply.choices[0].finish_reason == "stop"
    parts = openai.ChatCompletion.create(model=model, messages=[{"role": "user", "content": "7?"}], stream=True)
    assert [part.choices[0].delta.get("content") for part in parts] == ["7!", None]
    assert openai.Completion.create(model=model, prompt="7?")["choices"][0]["text"] == "7!"


def test_a_model_that_was_trained_further_keeps_its_marks(memory: MemoryBackend) -> None:
    model = ended(start())["fine_tuned_model"]
    further = ended(openai.FineTune.create(training_file="valid_data", model=model))["fine_tuned_model"]
    assert memory.card(further).template == memory.card(model).template
    assert ModelClient(further, memory).complete("炒蛋多少钱?") == ANSWER.strip()
    Path("other").write_text('{"prompt": "a ->", "completion": " b\\n"}\n' * 12, encoding="utf-8")
    with pytest.raises(openai.error.InvalidRequestError, match="learned from prompts that end with") as caught:
        openai.FineTune.create(training_file="other", model=model)
    assert caught.value.param == "training_file"


def test_models() -> None:
    model = ended(start())["fine_tuned_model"]
    names = [one.id for one in openai.Model.list()["data"]]
    assert names == ["memory-1", model]
    assert openai.Model.retrieve(model).root == "memory-1"
    assert [one.id for one in openai.Engine.list().data] == names
    assert openai.Engine.retrieve(model).ready is True


def test_the_second_api_of_2023() -> None:
    job = openai.FineTuningJob.create(training_file="train_data", model="davinci-002", hyperparameters={"n_epochs": 2})
    assert (job.object, job.hyperparameters.n_epochs, job.finished_at) == ("fine_tuning.job", 2, None)
    while job.status != "succeeded":
        job = openai.FineTuningJob.retrieve(job.id)
    assert job.training_file.startswith("file-")
    assert openai.File.download(job.result_files[0]).startswith(b"step,")
    events = openai.FineTuningJob.list_events(id=job.id, limit=2)
    assert (len(events.data), events.has_more, events.data[0].message) == (2, True, "The job has succeeded.")
    assert openai.FineTuningJob.list_events(id=job.id, limit=99, after=events.data[-1].id).has_more is False
    second = openai.FineTuningJob.cancel(openai.FineTuningJob.create(training_file="train_data", model="curie").id)
    assert [one.id for one in openai.FineTuningJob.list().data] == [second.id, job.id]
    assert openai.FineTuningJob.list(limit=1).has_more is True
    assert [one.id for one in openai.FineTuningJob.auto_paging_iter()] == [second.id, job.id]


async def _awaited() -> None:
    job = await openai.FineTune.acreate(training_file="train_data")
    while job.status != "succeeded":
        job = await openai.FineTune.aretrieve(job.id)
    reply = await openai.Completion.acreate(model=job.fine_tuned_model, prompt=QUESTION, stop="END")
    assert reply.choices[0].text == ANSWER
    assert (await openai.File.alist()).data
    parts = await openai.Completion.acreate(model=job.fine_tuned_model, prompt=QUESTION, stop="END", stream=True)
    assert [part.choices[0].text async for part in parts] == [ANSWER]
    told = [event.message async for event in openai.FineTune.astream_events(job.id)]
    assert told == [event.message for event in openai.FineTune.list_events(job.id).data]


def test_each_call_has_its_twin_for_asyncio() -> None:
    import asyncio

    asyncio.run(_awaited())


def test_replies_are_dicts() -> None:
    reply = Reply({"id": "ft-1", "files": [{"id": "file-1"}], "nested": {"answer": "好"}}, object="fine-tune")
    assert reply.files[0].id == reply["files"][0]["id"] == "file-1"
    assert reply.get("nothing", 1) == 1
    assert json.loads(str(reply)) == reply.to_dict_recursive() == reply
    assert "好" in repr(reply)
    for again in (copy.copy(reply), copy.deepcopy(reply), pickle.loads(pickle.dumps(reply))):
        assert again == reply
        assert again.nested.answer == "好"
    reply.status = "pending"
    assert reply["status"] == "pending"
    with pytest.raises(AttributeError, match="missing"):
        _ = reply.missing


def test_a_file_may_be_called_like_an_id() -> None:
    """Until there is a file with that id, as the first one that is sent here has."""
    Path("train_data").rename("file-1")
    for suffix in ("a", "b"):
        assert openai.FineTune.create(training_file="file-1", suffix=suffix).training_files[0].id == "file-1"
    assert [file.filename for file in openai.File.list().data] == ["training.jsonl"]


class Watched(MemoryBackend):
    """Remembers from where on events were asked for, and what was sent to models without a template of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str | None] = []
        self.prompts: list[str] = []

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        self.asked.append(after)
        return super().events(job_id, after=after)

    def card(self, model: str) -> ModelCard:
        return super().card(model).model_copy(update={"template": None})

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        self.prompts += prompts
        return super().complete(model, prompts, sampling)


def test_a_script_that_polls_reads_each_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Watched()
    monkeypatch.setattr(openai, "backend", backend)
    job = ended(start())
    assert backend.asked.count(None) == 1
    assert [event.message for event in job.events] == [event.message for event in backend.events(job.id)]


def test_a_model_of_which_no_template_is_known_gets_the_prompt_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Watched()
    monkeypatch.setattr(openai, "backend", backend)
    openai.Completion.create(model=ended(start()).fine_tuned_model, prompt=QUESTION)
    assert backend.prompts == [QUESTION]
