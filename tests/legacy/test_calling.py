"""Each old call looks at its arguments: nothing is left out in silence, and nothing of Python's or ours comes out."""

from __future__ import annotations

import asyncio
import inspect
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import finetune_kit.legacy as openai
from finetune_kit.legacy.replies import Reply
from finetune_kit.testing import MemoryBackend

pytestmark = pytest.mark.usefixtures("memory", "prepared")

CLASSES = (openai.FineTune, openai.FineTuningJob, openai.File, openai.Completion, openai.ChatCompletion, openai.Model)
CALLS = {
    f"{kind.__name__}.{name}": call.__func__
    for kind in (*CLASSES, openai.Engine)
    for name, call in vars(kind).items()
    if isinstance(call, staticmethod)
}
QUESTION = "炒蛋多少钱?\n\n###\n\n"


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> object:
    """What a call gives; a coroutine is run to its end."""
    made = call(*args, **kwargs)
    return asyncio.run(made) if inspect.iscoroutine(made) else made


@pytest.mark.parametrize("name", CALLS)
def test_no_call_takes_what_it_does_not_know(name: str) -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="Unrecognized request argument") as caught:
        outcome(CALLS[name], no_such_argument=1)
    assert caught.value.param == "no_such_argument"


@pytest.mark.parametrize("name", CALLS)
def test_no_call_takes_ten_arguments_by_their_place(name: str) -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="too many positional arguments"):
        outcome(CALLS[name], *range(10))


def test_a_misspelt_argument_starts_nothing_and_is_told_the_right_one(memory: MemoryBackend) -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="Did you mean n_epochs"):
        openai.FineTune.create(training_file="train_data", n_epoch=9)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert memory.jobs() == []
    with pytest.raises(openai.error.InvalidRequestError, match="missing a required argument") as caught:
        openai.FineTune.create()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert caught.value.param == "training_file"


def test_what_every_call_took_besides_is_taken_still() -> None:
    more: Any = {"api_key": "sk-...", "request_id": "r", "request_timeout": 5, "headers": {}, "organization": "o"}
    assert openai.File.list(**more).data == []
    model = trained()
    for name in ("model", "engine", "deployment_id"):
        named: Any = {name: model, "prompt": QUESTION, "stop": ["END"], "user": "u", **more}
        assert openai.Completion.create(**named).choices[0].text == " 炒蛋今天20元"
    talk: Any = {"deployment_id": model, "messages": [{"role": "user", "content": "炒蛋多少钱?"}]}
    assert openai.ChatCompletion.create(**talk).choices[0].message.role == "assistant"


def trained() -> str:
    job = openai.FineTune.create(training_file="train_data")
    while job.status != "succeeded":
        job = openai.FineTune.retrieve(job.id)
    return str(job.fine_tuned_model)


class Unreadable:
    """Reads numbers."""

    def read(self) -> int:
        return 5


def closed_file() -> object:
    with Path("train_data").open("rb") as file:
        return file


@pytest.mark.parametrize("make", [closed_file, Unreadable, lambda: None, lambda: 5, lambda: ".", lambda: "a\0b"])
def test_what_cannot_be_read_is_told(make: Callable[[], Any]) -> None:
    with pytest.raises(openai.error.InvalidRequestError, match=r'Pass open\(path, "rb"\)') as caught:
        openai.File.create(file=make(), purpose="fine-tune")
    assert caught.value.param == "file"


def test_a_file_that_is_open_for_writing_or_was_read_is_told() -> None:
    with Path("out").open("w", encoding="utf-8") as file, refused("it is open for writing"):
        openai.File.create(file=file, purpose="fine-tune")
    with Path("train_data").open("rb") as file, refused("train_data: there is nothing in the file, or it was read"):
        file.read()
        openai.File.create(file=file, purpose="fine-tune")


def refused(says: str) -> Any:
    return pytest.raises(openai.error.InvalidRequestError, match=says)


@pytest.mark.parametrize("encoding", ["gb18030", "cp1252", "latin-1", "ascii"])
def test_a_text_file_of_utf_8_goes_as_it_lies_there_whatever_python_took_it_for(encoding: str) -> None:
    with Path("train_data").open(encoding=encoding) as file:
        sent = openai.File.create(file=file, purpose="fine-tune")
    assert openai.File.download(sent.id) == Path("train_data").read_bytes()


def test_a_text_file_of_another_encoding_is_read_by_its_own() -> None:
    text = Path("train_data").read_text(encoding="utf-8")
    Path("of_then").write_bytes(text.encode("gb18030"))
    with Path("of_then").open(encoding="gb18030") as file:
        sent = openai.File.create(file=file, purpose="fine-tune")
    assert openai.File.download(sent.id).decode() == text
    with Path("of_then").open(encoding="utf-8") as file, refused("of_then.*cannot be read"):
        openai.File.create(file=file, purpose="fine-tune")
    Path("of_then").write_bytes('{"prompt": "菜", "completion": "好"}'.encode("gb18030"))
    with Path("of_then").open("rb") as file, refused(r"^of_then row 1: .* save the file as UTF-8") as caught:
        openai.File.create(file=file, purpose="fine-tune")
    assert "tmp" not in str(caught.value)


@pytest.mark.parametrize("make", [bytearray, memoryview, io.BytesIO, lambda content: io.StringIO(content.decode())])
def test_content_in_memory_is_taken(make: Callable[[bytes], Any]) -> None:
    content = Path("train_data").read_bytes()
    assert openai.File.download(openai.File.create(file=make(content), purpose="fine-tune").id) == content


def test_a_key_in_the_place_of_another_argument_becomes_no_name_of_a_file(memory: MemoryBackend) -> None:
    with refused("too many positional"):
        openai.File.create(b"{}", "fine-tune", None, "sk-secret")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    assert memory.files() == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: openai.File.create(file=b"{}", purpose="fine-tune", user_provided_filename=5), "filename is int"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (lambda: openai.File.find_matching_files(5, 5, "fine-tune"), "name is int"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (lambda: openai.File.wait_for_processing("file-1", max_wait_seconds="x"), "max_wait_seconds='x'"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        (lambda: openai.FineTune.stream_events("ft-gone"), "ft-gone"),
        (lambda: openai.FineTuningJob.list(after="gone"), "after='gone' is not in the list"),
        (lambda: openai.FineTuningJob.list(starting_after="gone"), "'gone' is not in the list"),
    ],
)
def test_wrong_arguments(call: Callable[[], object], says: str) -> None:
    with refused(says):
        call()


@pytest.mark.parametrize("given", ["n_epochs", [4], {5: 1}, {"n_epochs": 4, "seed": 1}])
def test_hyperparameters_of_the_second_api(given: Any) -> None:
    with refused("hyperparameters="):
        openai.FineTuningJob.create(training_file="train_data", model="davinci-002", hyperparameters=given)


@pytest.mark.parametrize("backend", ["local", 5, MemoryBackend, object()])
def test_what_is_no_backend(backend: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "backend", backend)
    with refused("is no backend. Assign one") as caught:
        openai.FineTune.list()
    assert caught.value.param == "backend"


async def _followed() -> list[list[str]]:
    job = await openai.FineTune.acreate(training_file="train_data")
    return [
        [event.message async for event in await openai.FineTune.astream_events(job.id)],
        [event.message async for event in openai.FineTune.astream_events(job.id)],
    ]


def test_events_are_streamed_with_and_without_await() -> None:
    first, second = asyncio.run(_followed())
    assert first == second
    assert first[-1] == "The job has succeeded."


def test_pages_of_the_second_api_begin_where_scripts_say() -> None:
    made = [openai.FineTuningJob.create(training_file="train_data", model="curie", suffix=f"n{n}").id for n in range(3)]
    newest, *others = reversed(made)
    assert [one.id for one in openai.FineTuningJob.list(2, newest).data] == others
    assert [one.id for one in openai.FineTuningJob.auto_paging_iter(limit=1)] == [newest, *others]


def test_scripts_may_look_at_the_version_and_set_a_session() -> None:
    assert openai.__version__ < "1"
    openai.aiosession.set(object())


def test_a_reply_goes_through_json() -> None:
    job = openai.FineTune.create(training_file="train_data")
    assert Reply(json.loads(json.dumps(job))) == job
