"""A clock whose waits take no time, and a home folder for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from finetune_kit._clock import FastClock, using


@pytest.fixture(autouse=True)
def no_waits() -> Iterator[None]:
    with using(FastClock(float("inf"))):
        yield


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
