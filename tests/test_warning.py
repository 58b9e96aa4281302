"""A warning is shown once for each call, at the line of the program that called the package."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

import finetune_kit.legacy as openai
from finetune_kit import Dataset
from finetune_kit._clock import FastClock, clock, using
from finetune_kit.backends import HostedBackend
from finetune_kit.errors import ModelClosedError, ShutdownWarning
from finetune_kit.hosts import HostProfile, Resolved, check_dates, host_profile
from finetune_kit.legacy import settings
from finetune_kit.testing import HostSimulator
from tests.backends.hosted.scripted_host import Says, answering
from tests.hosts_of import LikeHost, november

MODEL = "gpt-4.1-2025-04-14"
END = date(2027, 1, 14)
END_IN_UTC = 1_799_884_800.0
NO_DATES: dict[str, date | None] = {"training_ends": None, "shuts_down": None}
SPLIT = Dataset.from_records([(f"Where is parcel {number}?", "track") for number in range(20)]).split(0.8)


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    with using(november(1000)):
        yield


@pytest.fixture
def own_dates(tmp_path: Path) -> Path:
    """A file of hosts in which the model has no dates."""
    path = tmp_path / "hosts.json"
    path.write_text(json.dumps({"openai": {"models": {MODEL: NO_DATES}}}))
    return path


def line_of(call: Callable[[], object]) -> int:
    return call.__code__.co_firstlineno


def warned(call: Callable[[], object]) -> warnings.WarningMessage:
    """The one warning of a call."""
    with pytest.warns(ShutdownWarning) as caught:
        call()
    [warning] = caught
    return warning


def place(days: dict[str, str]) -> HostSimulator:
    return HostSimulator(shutdown_dates=days)


@pytest.mark.parametrize("told", ["2027-01-14", "2027-01-06", "2027-01-10", "2028-01-01"])
def test_a_host_that_says_what_is_on_file_or_later_adds_no_second_warning(told: str) -> None:
    with place({MODEL: told}) as host, HostedBackend(host.api_key, host.base_url) as backend:
        warning = warned(lambda: SPLIT.train(MODEL, backend=backend))
    assert "from 2027-01-06 on, in 42 days, and is shut down on 2027-01-14" in str(warning.message)
    assert warning.filename == __file__


def test_a_host_that_names_a_sooner_day_than_is_on_file_says_so() -> None:
    with (
        place({MODEL: "2026-12-20"}) as host,
        HostedBackend(host.api_key, host.base_url) as backend,
        pytest.warns(ShutdownWarning) as caught,
    ):
        SPLIT.train(MODEL, backend=backend)
    on_file, news = map(str, (one.message for one in caught))
    assert "2027-01-06" in on_file
    assert "on 2026-12-20, in 25 days, says the host: sooner than is on file" in news
    assert {one.filename for one in caught} == {__file__}


def test_a_day_that_only_the_host_knows_is_one_warning_at_the_users_line(own_dates: Path) -> None:
    with (
        place({MODEL: "2026-12-20"}) as host,
        HostedBackend(host.api_key, host.base_url, hosts=own_dates) as backend,
    ):
        warning = warned(lambda: SPLIT.train(MODEL, backend=backend))
    assert "2026-12-20" in str(warning.message)
    assert warning.filename == __file__


def test_old_calls_warn_at_the_line_of_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(openai, "backend", LikeHost("openai"))
    SPLIT.training.write("train_data")

    def once() -> None:
        openai.FineTune.create(training_file="train_data")

    def later() -> None:
        asyncio.run(awaited())

    async def awaited() -> None:
        await openai.FineTune.acreate(training_file="train_data", suffix="b")

    assert (warned(once).lineno, warned(later).lineno) == (line_of(once) + 1, line_of(awaited) + 1)
    settings.forget()


def test_the_warning_of_a_thread_names_a_line_too() -> None:
    def in_thread() -> None:
        thread = threading.Thread(target=SPLIT.train, args=(MODEL,), kwargs={"backend": LikeHost("openai")})
        thread.start()
        thread.join()

    assert warned(in_thread).lineno > 0


PROGRAM = """
from finetune_kit import Dataset
from tests.hosts_of import LikeHost

split = Dataset.from_records([(f"Where is parcel {n}?", "track") for n in range(20)]).split(0.8)
for suffix in ("a", "b", "c"):
    split.train("gpt-4.1", backend=LikeHost("openai"), suffix=suffix)
"""


def test_in_a_loop_it_is_shown_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    root = str(Path(__file__).parent.parent)
    run = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, check=False, cwd=root, env={"PYTHONPATH": root}
    )
    if "was shut down" not in run.stderr:  # after that day the program is refused
        assert run.stderr.count("ShutdownWarning") == 1
        assert f"{program}:7: ShutdownWarning: {MODEL}" in run.stderr
        assert 'split.train("gpt-4.1"' in run.stderr


def test_filters_turn_it_into_an_error_before_anything_is_sent() -> None:
    backend = LikeHost("openai")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ShutdownWarning)
        with pytest.raises(ShutdownWarning):
            SPLIT.train(MODEL, backend=backend)
    assert backend.untouched


def profile(**dates: date | None) -> HostProfile:
    found = host_profile("openai")
    facts = found.models[MODEL].model_copy(update={**NO_DATES, **dates})
    return found.model_copy(update={"models": {MODEL: facts}})


@pytest.mark.parametrize(
    ("day", "says"),
    [
        (date(2026, 10, 15), None),
        (date(2026, 10, 16), "is shut down on 2027-01-14, with all that was trained from it, in 90 days ("),
        (date(2027, 1, 13), "in 1 day ("),
    ],
)
def test_it_is_warned_of_from_the_ninetieth_day_before(day: date, says: str | None) -> None:
    told = check_dates(profile(shuts_down=END), MODEL, on=day)
    assert told is None if says is None else says in (told or "")


@pytest.mark.parametrize("day", [END, date(2027, 1, 15), date(2099, 1, 1), date.max])
def test_from_the_day_on_it_is_refused(day: date) -> None:
    with pytest.raises(ModelClosedError, match=r"was shut down on 2027-01-14.*Choose another one") as caught:
        check_dates(profile(shuts_down=END), MODEL, on=day)
    assert caught.value.model == MODEL
    with pytest.raises(ModelClosedError, match="models trained before still answer"):
        check_dates(profile(training_ends=END), MODEL, on=day)


def test_a_model_without_a_date_is_neither_warned_of_nor_refused() -> None:
    assert check_dates(profile(), MODEL, on=date.max) is None
    assert check_dates(profile(), "some-other-model", on=date.max) is None


def test_an_end_of_training_behind_the_shut_down_is_not_told() -> None:
    told = check_dates(profile(shuts_down=END, training_ends=date(2027, 2, 1)), MODEL, on=date(2027, 1, 1))
    assert "training" not in (told or "").replace("trained", "")


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Asia/Shanghai", "UTC", "America/Los_Angeles", "Etc/GMT+12"])
def test_the_door_and_the_hosts_own_word_go_by_the_same_calendar(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In each zone, at each hour, both say yes or both say no."""
    monkeypatch.setenv("TZ", zone)
    monkeypatch.setattr("finetune_kit.hosts.calendar.clock", clock)  # here the calendar is what is tried
    time.tzset()
    listed = Says({"data": [{"id": MODEL, "shutdown_date": str(END)}]})
    asked = Resolved(requested=MODEL, model=MODEL)
    try:
        with answering(listed) as (backend, _):
            for hours in (-15, -9, -1, 0, 1, 9, 13):
                with using(FastClock(float("inf"), start=END_IN_UTC + hours * 3600)):
                    assert refused(lambda: check_dates(profile(shuts_down=END), MODEL)) == refused(
                        lambda: backend.preflight(asked)
                    )
    finally:
        monkeypatch.undo()
        time.tzset()


def refused(check: Callable[[], object]) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ShutdownWarning)
            check()
    except ModelClosedError:
        return True
    return False
