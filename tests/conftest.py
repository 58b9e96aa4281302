"""What every test gets: an environment without keys, and a home folder of its own."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import settings

from finetune_kit import LocalBackend
from finetune_kit._clock import SystemClock

settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("unhurried")

FACTS_NOON = datetime(2026, 11, 25, 12).timestamp()  # noqa: DTZ001 - as `today` tells the day

REAL_HOME_VARIABLE = "FINETUNE_KIT_TEST_HOME"
"""A home folder that is kept between runs, so that the real base model is fetched and converted only once."""


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test sees the keys of whoever runs it, or writes into their home folder."""
    for name in list(os.environ):
        if name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "FINETUNE_KIT_BACKEND") or name.startswith("AZURE_OPENAI_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path_factory.getbasetemp() / "home"))


class ClockOfTheFacts(SystemClock):
    """Stands still on the day on which the shipped host profiles were written: models close."""

    def now(self) -> float:
        """Seconds since 1970."""
        return FACTS_NOON


@pytest.fixture(autouse=True)
def day_of_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The calendar, and nothing else that tells the time, is of a day on which the models of these tests are open."""
    monkeypatch.setattr("finetune_kit.hosts.calendar.clock", ClockOfTheFacts)


@pytest.fixture(scope="session")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the weights of the real base model; fetched at most once in a run."""
    kept = os.environ.get(REAL_HOME_VARIABLE)
    home = Path(kept).absolute() if kept else tmp_path_factory.mktemp("real_home")
    backend = LocalBackend(home=home)
    backend.preflight(backend.resolve("smollm2-135m"))
    return home
