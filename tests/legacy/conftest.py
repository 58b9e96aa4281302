"""A backend in memory behind the old names, and a tiny base model for the engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import finetune_kit.legacy as openai
from finetune_kit.legacy import settings
from finetune_kit.testing import MemoryBackend
from tests.tiny import write_tiny_base

DISHES = (
    "炒蛋",
    "豆腐",
    "砂锅鸡",
    "饺子",
    "面条",
    "米饭",
    "烤鸭",
    "汤圆",
    "包子",
    "春卷",
    "蒸鱼",
    "排骨",
    "青菜",
    "凉皮",
)


@pytest.fixture(autouse=True)
def nothing_assigned(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts assign to the module, and the next test must not see it."""
    for name in ("backend", "api_key", "api_key_path", "api_version", "organization"):
        monkeypatch.setattr(openai, name, None)
    monkeypatch.setattr(openai, "api_base", "https://api.openai.com/v1")
    monkeypatch.setattr(openai, "api_type", "open_ai")
    settings.forget()
    yield
    settings.forget()


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryBackend:
    """What the script's calls go to."""
    backend = MemoryBackend()
    monkeypatch.setattr(openai, "backend", backend)
    return backend


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For a tiny model, more threads only get in each other's way."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama with random weights."""
    return write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two prepared files as the founding tool left them, without a suffix in their names."""
    rows = [
        {"prompt": f"{dish}多少钱?\n\n###\n\n", "completion": f" {dish}今天{20 + place}元END"}
        for place, dish in enumerate(DISHES)
    ]
    write_lines(tmp_path / "train_data", rows)
    write_lines(tmp_path / "valid_data", [{**row, "prompt": f"请问{row['prompt']}"} for row in rows[:10]])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_lines(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
