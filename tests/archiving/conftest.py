"""Every test has a home folder of its own, and waiting takes no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_kit._clock import FastClock, using


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def fast() -> Iterator[FastClock]:
    clock = FastClock(float("inf"))
    with using(clock):
        yield clock
