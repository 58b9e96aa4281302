"""What the machine does best is measured once, and kept with what it was measured on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch

from finetune_kit.backends.local import device as module
from finetune_kit.backends.local.device import Numbers, pick_device, pick_numbers
from finetune_kit.backends.local.home import Home
from finetune_kit.errors import EngineError

CPU = torch.device("cpu")
BEST = Numbers(dtype="bfloat16", threads=4)


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str]]]:
    """Rates of a machine on which four threads are best and bfloat16 twice as fast; what was measured is told."""
    asked: list[tuple[int, str]] = []
    before = torch.get_num_threads()

    def rate(_: Any, dtype: torch.dtype) -> float:
        asked.append((torch.get_num_threads(), str(dtype)))
        return (200.0 if dtype == torch.bfloat16 else 100.0) / abs(torch.get_num_threads() - 3.9)

    monkeypatch.setattr(module, "_rate", rate)
    monkeypatch.delenv("OMP_NUM_THREADS")
    torch.set_num_threads(8)
    yield asked
    torch.set_num_threads(before)


def siblings(folder: Path, *groups: str) -> Path:
    """As Linux tells which threads are of one core."""
    for number, group in enumerate(groups):
        (folder / f"cpu{number}" / "topology").mkdir(parents=True)
        (folder / f"cpu{number}" / "topology" / "thread_siblings_list").write_text(group + "\n", encoding="ascii")
    return folder


@pytest.fixture
def eight_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = siblings(tmp_path / "cpus", *["0,4", "1,5", "2,6", "3,7"] * 2)
    monkeypatch.setattr(module, "_CPUS", folder)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight_threads")
def test_threads_and_type_are_measured_once(rates: list[tuple[int, str]], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert pick_numbers(home, CPU) == BEST
    assert {threads for threads, _ in rates} == {4, 8}
    measured = len(rates)
    torch.set_num_threads(8)  # as another process starts
    assert pick_numbers(home, CPU) == BEST
    assert len(rates) == measured
    assert BEST.take() is torch.bfloat16
    assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize("kept", [b"", b"{", b"[]", b'{"machine": 1}', b"\xff"])
def test_a_damaged_file_is_measured_anew(kept: bytes, rates: list[tuple[int, str]], tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    pick_numbers(home, CPU)
    facts = orjson.loads((home.root / "machine.json").read_bytes())
    (home.root / "machine.json").write_bytes(kept)
    torch.set_num_threads(8)
    assert pick_numbers(home, CPU) == BEST
    assert orjson.loads((home.root / "machine.json").read_bytes()) == facts


@pytest.mark.usefixtures("eight_threads")
def test_the_users_own_number_of_threads_stays(
    rates: list[tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert pick_numbers(Home(tmp_path / "home"), CPU).threads == 8
    assert {threads for threads, _ in rates} == {8}


def test_without_word_of_cores_torchs_own_number_stays(
    rates: list[tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CPUS", tmp_path / "nowhere")
    assert pick_numbers(Home(tmp_path / "home"), CPU).threads == 8
    assert rates


def test_a_device_that_is_not_there_is_told_with_what_to_do() -> None:
    with pytest.raises(EngineError, match=r"the device 'warp' cannot be used: .* Leave device= out"):
        pick_device("warp")
