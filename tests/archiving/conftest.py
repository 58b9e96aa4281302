"""Every test has a home folder of its own, waiting takes no time, and it is autumn 2026: hosts close models by date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from finetune_kit import HostedBackend
from finetune_kit._clock import FastClock, using
from finetune_kit.testing import HostSimulator
from tests.archiving.places import backend_of

AUTUMN = datetime(2026, 11, 25, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def fast() -> Iterator[FastClock]:
    clock = FastClock(float("inf"), start=AUTUMN)
    with using(clock):
        yield clock


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator() as host:
        yield host


@pytest.fixture
def backend(host: HostSimulator) -> Iterator[HostedBackend]:
    with backend_of(host) as backend:
        yield backend
