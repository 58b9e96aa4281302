"""A script of 2023 runs to its end with nothing changed but the import."""

from __future__ import annotations

import csv
import io
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

import finetune_kit.legacy as openai
from finetune_kit import LocalBackend, ModelClient
from finetune_kit.testing import MemoryBackend
from tests.legacy.conftest import write_lines

SCRIPT = Path(__file__).with_name("script_of_2023.py")
GREETINGS = (
    *("", "请问", "你好,", "麻烦问下,", "哈喽,", "老板,", "不好意思,", "我想知道", "问个事:", "再问一下,", "打扰了,"),
    "您好,想问一下:",
)
"""Few questions asked in many ways are learned word for word in few steps."""
DEMO = Path(openai.__file__).parent.parent / "demo" / "support_zh.csv"


def run_script() -> dict[str, Any]:
    """Its variables at its end."""
    return runpy.run_path(str(SCRIPT))


def test_it_runs_in_memory(memory: MemoryBackend, prepared: Path) -> None:
    end = run_script()
    assert end["answer"] == "炒蛋今天20元"
    assert [row["step"] for row in csv.DictReader(io.StringIO(end["result"].decode()))][:2] == ["1", "2"]
    name = end["job"]["fine_tuned_model"]
    assert ModelClient(name, memory).complete("炒蛋多少钱?") == "炒蛋今天20元"


@pytest.mark.usefixtures("one_thread", "prepared")
def test_it_runs_on_the_engine(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tiny model knows nothing, but all else is as it will be."""
    backend = LocalBackend(home=tmp_path / "home", base=str(tiny_base))
    monkeypatch.setattr(openai, "backend", backend)
    end = run_script()
    assert end["job"]["status"] == "succeeded"
    sent = backend.file_content(end["job"]["training_files"][0]["id"]).decode().splitlines()
    rows = [json.loads(line) for line in (tmp_path / "train_data").read_text(encoding="utf-8").splitlines()]
    assert [json.loads(line) for line in sent] == rows
    losses = [row["validation_loss"] for row in csv.DictReader(io.StringIO(end["result"].decode()))]
    assert [float(loss) for loss in losses if loss]
    assert isinstance(end["answer"], str)


@pytest.mark.real_model
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_model_answers_a_trained_question_word_for_word(
    real_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the engine of this machine, found without a key, and with the defaults of 2023."""
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(real_home))
    monkeypatch.chdir(tmp_path)
    with DEMO.open(encoding="utf-8") as file:
        asked = list(csv.DictReader(file))[::4]
    ways = [
        [{"prompt": f"{greeting}{row['问题']}\n\n###\n\n", "completion": f" {row['答案']}END"} for row in asked]
        for greeting in GREETINGS
    ]
    write_lines(tmp_path / "train_data", [row for way in ways[:-1] for row in way])
    write_lines(tmp_path / "valid_data", ways[-1])
    end = run_script()
    model = end["job"]["fine_tuned_model"]
    for row in asked:
        reply = openai.Completion.create(
            model=model, prompt=f"{row['问题']}\n\n###\n\n", temperature=0, max_tokens=50, stop=["END"]
        )
        assert reply["choices"][0]["text"].strip() == row["答案"]
    assert ModelClient(model).complete(asked[0]["问题"]) == asked[0]["答案"]


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> MemoryBackend:
    """A backend of which this machine remembers what it started."""
    backend = MemoryBackend(account="somebody")
    monkeypatch.setattr(openai, "backend", backend)
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    return backend


@pytest.mark.usefixtures("prepared", "remembered")
def test_run_twice_it_starts_one_job_until_its_end_was_told() -> None:
    first = openai.FineTune.create(training_file="train_data")
    assert openai.FineTune.create(training_file="train_data").id == first.id
    while openai.FineTune.retrieve(first.id)["status"] != "succeeded":
        pass
    assert openai.FineTune.create(training_file="train_data").id != first.id


@pytest.mark.usefixtures("prepared", "remembered")
def test_files_that_are_there_already_are_used_again_unless_told_otherwise() -> None:
    def file_of(suffix: str, *, check_if_files_exist: bool) -> str:
        job = openai.FineTune.create(
            training_file="train_data", suffix=suffix, check_if_files_exist=check_if_files_exist
        )
        return str(job.training_files[0].id)

    first = file_of("a", check_if_files_exist=True)
    assert file_of("b", check_if_files_exist=True) == first
    assert file_of("c", check_if_files_exist=False) != first
