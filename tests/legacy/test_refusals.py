"""What is wrong, and what cannot be carried, is an old error that says what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import finetune_kit.legacy as openai
from finetune_kit.errors import AccessError, ValidationError
from finetune_kit.legacy import settings
from finetune_kit.testing import MemoryBackend
from tests.legacy.conftest import write_lines

pytestmark = pytest.mark.usefixtures("memory", "prepared")


@pytest.mark.parametrize(
    ("arguments", "says", "param"),
    [
        ({"training_file": "no-such-file"}, "neither a file here nor the id of one", "training_file"),
        ({"training_file": "file-123"}, "neither a file here nor the id of one", "training_file"),
        ({"training_file": "https://example.org/train.jsonl"}, "Download it", "training_file"),
        ({"training_file": None}, "Pass an id", "training_file"),
        ({"training_file": 7}, "training_file is int", "training_file"),
        ({"training_file": "train_data", "validation_file": "gone"}, "validation_file='gone'", "validation_file"),
        ({"training_file": "train_data", "model": "no-such-model"}, "no-such-model", None),
        ({"training_file": "train_data", "n_epochs": 0}, "n_epochs=0", "n_epochs"),
        ({"training_file": "train_data", "batch_size": "large"}, "batch_size='large'", "batch_size"),
    ],
)
def test_a_wrong_job(arguments: dict[str, Any], says: str, param: str | None) -> None:
    with pytest.raises(openai.error.InvalidRequestError, match=says) as caught:
        openai.FineTune.create(**arguments)
    assert caught.value.param == param
    assert openai.FineTune.list().data == []


def test_a_validation_file_that_repeats_training_rows() -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="also in the training set") as caught:
        openai.FineTune.create(training_file="train_data", validation_file="train_data")
    assert isinstance(caught.value.__cause__, ValidationError)


def test_rows_that_cannot_be_read_are_told() -> None:
    with Path("train_data").open("a", encoding="utf-8") as file:
        file.write("{broken\n")
    with pytest.raises(openai.error.InvalidRequestError, match="train_data"):
        openai.FineTune.create(training_file="train_data")
    with pytest.raises(openai.error.InvalidRequestError, match="cannot be read"):
        openai.File.create(file=Path("train_data"), purpose="fine-tune")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe\x00", b"<html></html>"])
def test_a_file_without_examples(content: bytes) -> None:
    with pytest.raises(openai.error.InvalidRequestError):
        openai.File.create(file=content, purpose="fine-tune")


def test_a_purpose_of_other_apis() -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="purpose='search'"):
        openai.File.create(file=b"{}", purpose="search")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"logprobs": 0}, "classify"),
        ({"logprobs": 5}, "classify"),
        ({"best_of": 3}, "Ask for n="),
        ({"suffix": "the end"}, "fill none in"),
        ({"logit_bias": {"50256": -100}}, "labels="),
        ({"prompt": [1, 2, 3]}, "Numbers of tokens"),
        ({"temperature": 3}, "temperature=3"),
        ({"max_tokens": 0}, "max_tokens=0"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "at most 4"),
        ({"stop": ""}, "none empty"),
        ({"n": 0}, "n=0"),
        ({"model": None}, "Pass model="),
        ({"model": "no-such-model"}, "no-such-model"),
    ],
)
def test_a_completion_that_cannot_be_carried(arguments: dict[str, Any], says: str) -> None:
    asked: dict[str, Any] = {"model": "davinci", "prompt": "a", **arguments}
    with pytest.raises(openai.error.InvalidRequestError, match=says):
        openai.Completion.create(**asked)


@pytest.mark.parametrize("name", ["curie:ft-acme-2023-05-05-12-00-00", "davinci:ft-personal:bot-2023-01-01"])
def test_a_model_that_was_fine_tuned_then_is_gone_for_good(name: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: openai.Completion.create(model=name, prompt="a"),
        lambda: openai.FineTune.create(training_file="train_data", model=name),
        lambda: openai.Model.retrieve(name),
    ]
    for call in calls:
        with pytest.raises(openai.error.InvalidRequestError, match=r"2024-01-04.*Train its data anew") as caught:
            call()
        assert caught.value.http_status == 404


def test_tools_cannot_be_carried() -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="functions="):
        openai.ChatCompletion.create(model="curie", messages=[{"role": "user", "content": "a"}], functions=[{}])
    with pytest.raises(openai.error.InvalidRequestError, match="messages"):
        openai.ChatCompletion.create(model="curie")


def test_models_cannot_be_deleted() -> None:
    for delete in (openai.Model.delete, openai.FineTune.delete):
        with pytest.raises(openai.error.InvalidRequestError, match="deleted"):
            delete("ft:memory-1:memory::1")


def test_what_is_elsewhere_says_so() -> None:
    with pytest.raises(AttributeError, match=r"no Embedding: .* the openai package of today"):
        _ = openai.Embedding  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = openai.Nonsense  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_a_mixture_of_kinds() -> None:
    rows = [
        {"messages": [{"role": "user", "content": f"{n}"}, {"role": "assistant", "content": "b"}]} for n in range(12)
    ]
    Path("chats").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    write_lines(Path("pairs"), [{"prompt": f"{n} ->", "completion": " x\n"} for n in range(12)])
    with pytest.raises(openai.error.InvalidRequestError, match="Use one kind for both"):
        openai.FineTune.create(training_file="chats", validation_file="pairs")


class Reticent(MemoryBackend):
    """Gives no training file back, as some hosts do."""

    def file_content(self, file_id: str) -> bytes:
        raise AccessError("downloading training files is disabled")


def test_a_host_that_gives_no_file_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "backend", Reticent())
    stored = openai.File.create(file=Path("train_data"), purpose="fine-tune")
    job = openai.FineTune.create(training_file=stored.id)  # this process has it still
    assert job.training_files[0].id == stored.id
    settings.forget()
    with pytest.raises(openai.error.InvalidRequestError, match="Pass its path instead"):
        openai.FineTune.create(training_file=stored.id)


@pytest.mark.parametrize("name", ["", "..", "/etc/passwd", "a\0b", "x" * 5000, "sub/dir/file.csv", " "])
def test_any_name_of_a_file_will_do(name: str) -> None:
    stored = openai.File.create(file=b"prompt,completion\na,b\nc,d\n", purpose="fine-tune", user_provided_filename=name)
    assert json.loads(openai.File.download(stored.id).splitlines()[1]) == {"prompt": "c", "completion": "d"}
