"""What every test gets: an environment without keys, and a home folder of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import settings

from finetune_kit import LocalBackend
from finetune_kit._clock import SystemClock, using

settings.register_profile("unhurried", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("unhurried")

FACTS_NOON = datetime(2026, 11, 25, 12).timestamp()  # noqa: DTZ001 - as `today` tells the day
BEGUN = time.time()

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
    """The machine's clock, set back to the day on which the shipped host profiles were written: models close."""

    def now(self) -> float:
        """Seconds since 1970, as if the process had begun on that day."""
        return FACTS_NOON + time.time() - BEGUN


@pytest.fixture(autouse=True)
def day_of_the_facts() -> Iterator[None]:
    """Every test runs on a day on which the models it trains can be trained."""
    with using(ClockOfTheFacts()):
        yield


@pytest.fixture(scope="session")
def real_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the weights of the real base model; fetched at most once in a run."""
    kept = os.environ.get(REAL_HOME_VARIABLE)
    home = Path(kept).absolute() if kept else tmp_path_factory.mktemp("real_home")
    backend = LocalBackend(home=home)
    backend.preflight(backend.resolve("smollm2-135m"))
    return home
