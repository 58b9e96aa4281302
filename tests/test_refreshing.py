"""Until when models answer is asked of the host, kept with the day, and shown, warned of and obeyed from then on."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import finetune_kit
from finetune_kit import Dataset, HostedBackend, ModelClient
from finetune_kit._clock import FastClock, clock, using
from finetune_kit.backends import Sampling
from finetune_kit.errors import ModelClosedError, ParameterError, ShutdownWarning, UnknownModelError
from finetune_kit.hosts import ModelRow, host_profile
from finetune_kit.testing import HostSimulator, MemoryBackend
from tests.archiving.places import backend_of, chat_rows, ended, lines, started
from tests.backends.hosted.scripted_host import Says, answering

MODEL = "gpt-4.1-2025-04-14"


def dated(day: date) -> FastClock:
    """Shows a day, and waiting takes no time."""
    return FastClock(float("inf"), start=datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())


@pytest.fixture(autouse=True)
def autumn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("finetune_kit.hosts.calendar.clock", clock)  # here the calendar is what is tried
    with using(dated(date(2026, 11, 25))):
        yield


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator(shutdown_dates={MODEL: "2027-03-01"}) as host:
        yield host


@pytest.fixture
def backend(host: HostSimulator) -> Iterator[HostedBackend]:
    with backend_of(host) as backend:
        yield backend


def row_of(model: str) -> ModelRow:
    return next(row for row in finetune_kit.models("openai") if row.model == model)


def test_what_the_host_says_goes_before_what_is_shipped(backend: HostedBackend) -> None:
    assert row_of(MODEL).shuts_down == date(2027, 1, 14)
    refreshed = finetune_kit.refresh_models(backend)
    assert [(one.model, one.before, one.after) for one in refreshed.changed] == [
        (MODEL, date(2027, 1, 14), date(2027, 3, 1))
    ]
    assert f"{MODEL}: 2027-03-01, not 2027-01-14" in str(refreshed)
    assert (row_of(MODEL).shuts_down, row_of(MODEL).days_left) == (date(2027, 3, 1), 96)
    assert row_of("gpt-4.1-mini-2025-04-14").shuts_down == date(2027, 1, 14)
    assert host_profile("openai").dates_told == date(2026, 11, 25)
    with HostedBackend(api_key="sk-any", base_url=backend.address) as later:
        assert later.profile.dates_told == date(2026, 11, 25)


def test_the_age_of_what_the_host_said_is_shown(backend: HostedBackend) -> None:
    finetune_kit.refresh_models(backend)
    with using(dated(date(2026, 12, 5))):
        told = str(finetune_kit.models("openai"))
    assert "The last days of 'openai' are as it told them itself on 2026-11-25, 10 days before." in told


def test_ones_own_file_goes_before_what_the_host_says(
    backend: HostedBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finetune_kit.refresh_models(backend)
    own = tmp_path / "hosts.json"
    own.write_text(json.dumps({"openai": {"models": {MODEL: {"shuts_down": "2027-05-05"}}}}))
    monkeypatch.setenv("FINETUNE_KIT_HOSTS", str(own))
    assert row_of(MODEL).shuts_down == date(2027, 5, 5)


def test_a_host_without_dates_changes_nothing(tmp_path: Path) -> None:
    with HostSimulator() as host, backend_of(host) as backend:
        refreshed = finetune_kit.refresh_models(backend)
    assert "what is on file stays" in str(refreshed)
    assert refreshed.listed > 5
    assert not (tmp_path / "home" / "shutdowns.json").exists()


def test_a_backend_without_a_list_is_told() -> None:
    with pytest.raises(ParameterError, match="no list of models with dates"):
        finetune_kit.refresh_models(MemoryBackend())


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"hosts": {"openai": 7}}', b"\xff"])
def test_a_damaged_file_of_dates_is_told_and_the_shipped_ones_are_taken(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "shutdowns.json").write_bytes(content)
    assert row_of(MODEL).shuts_down == date(2027, 1, 14)
    assert "the dates on file are taken" in caplog.text


@pytest.mark.parametrize(
    "broken",
    [
        {"asked_on": "2026-11-25", "shuts_down": {MODEL: "soon"}},
        {"asked_on": "2026-11-25", "shuts_down": {MODEL: 0}},
        {"asked_on": 5, "shuts_down": {}},
        {},
    ],
)
def test_what_is_damaged_of_one_host_leaves_what_others_told(
    tmp_path: Path, broken: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    azure = {"asked_on": "2026-11-25", "shuts_down": {MODEL: "2028-02-02"}}
    kept = {"schema_version": 1, "hosts": {"openai": broken, "azure": azure}}
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "shutdowns.json").write_text(json.dumps(kept))
    assert row_of(MODEL).shuts_down == date(2027, 1, 14)
    assert host_profile("azure").models[MODEL].shuts_down == date(2028, 2, 2)
    assert "what 'openai' has told" in caplog.text
    assert "pydantic" not in caplog.text


def test_a_file_of_a_later_version_is_left_alone_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    told = {"openai": {"asked_on": "2026-11-25", "shuts_down": {MODEL: "2030-01-01"}}}
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "shutdowns.json").write_text(json.dumps({"schema_version": 2, "hosts": told}))
    assert row_of(MODEL).shuts_down == date(2027, 1, 14)
    assert "another version" in caplog.text


def test_a_clock_that_was_ahead_makes_no_negative_age() -> None:
    listed = Says({"data": [{"id": MODEL, "shutdown_date": "2100-01-01"}]})
    with using(dated(date(2099, 1, 1))), answering(listed) as (backend, _):
        finetune_kit.refresh_models(backend)
    assert "on 2099-01-01, 0 days before." in str(finetune_kit.models("openai"))


def test_where_a_day_comes_from_is_in_the_row(backend: HostedBackend) -> None:
    finetune_kit.refresh_models(backend)
    assert f"its last day: the host itself at {backend.address} on 2026-11-25" in row_of(MODEL).source
    assert "the host itself" not in row_of("gpt-4.1-mini-2025-04-14").source


@pytest.mark.parametrize("told", [{"davinci": "2024-01-04"}, {"curie": 1_704_326_400, "o4-mini": "2026-10-23"}])
def test_the_end_of_a_model_is_none_of_the_one_that_stands_in_for_it(told: dict[str, object]) -> None:
    listed = Says({"data": [{"id": name, "shutdown_date": day} for name, day in told.items()]})
    with answering(listed) as (backend, _):
        finetune_kit.refresh_models(backend)
    assert row_of("gpt-4.1-mini-2025-04-14").shuts_down == date(2027, 1, 14)


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("2027-02-03", date(2027, 2, 3)),
        ("2027-02-03T00:00:00Z", date(2027, 2, 3)),
        ("2027-02-03T23:30:00-08:00", date(2027, 2, 4)),
        (1_801_612_800, date(2027, 2, 3)),
        (1_801_612_800_000, date(2027, 2, 3)),
        (0, None),
        (-1, None),
        (True, None),
        ("", None),
        ("soon", None),
        ("2027-13-45", None),
        (10**30, None),
        ({"day": 3}, None),
        ([], None),
        (None, None),
    ],
)
@pytest.mark.parametrize("name", [MODEL, "gpt-4.1"])
def test_odd_forms_of_a_day(name: str, told: object, day: date | None) -> None:
    with answering(Says({"data": [{"id": name, "shutdown_date": told}]})) as (backend, _):
        refreshed = finetune_kit.refresh_models(backend)
    assert refreshed.listed == 1
    assert row_of(MODEL).shuts_down == (day or date(2027, 1, 14))
    assert [(one.model, one.after) for one in refreshed.changed] == ([(MODEL, day)] if day else [])


def test_azure_tells_until_when_a_model_answers_by_other_words() -> None:
    end = {"fine_tune": 1_801_612_800, "inference": 1_812_000_000}
    with answering(Says({"data": [{"id": MODEL, "deprecation": end}]}), host="azure") as (backend, _):
        refreshed = finetune_kit.refresh_models(backend)
    assert refreshed.shuts_down == {MODEL: date(2027, 6, 3)}
    assert host_profile("azure").models[MODEL].shuts_down == date(2027, 6, 3)


def test_a_day_of_the_fine_tuned_model_itself_goes_before_its_base(host: HostSimulator) -> None:
    split = Dataset.from_records([(f"{n}?", "track") for n in range(20)]).split(0.8)
    with backend_of(host) as backend, pytest.warns(ShutdownWarning):
        name = split.train(MODEL, backend=backend).wait().model().name
    with answering(Says({"data": [{"id": name, "shutdown_date": "2026-12-01"}]})) as (other, _):
        finetune_kit.refresh_models(other)
    assert (finetune_kit.jobs()[0].shuts_down, finetune_kit.jobs()[0].days_left) == (date(2026, 12, 1), 6)


REFRESH = """
import sys
from datetime import date
from finetune_kit.hosts.told import keep_told
for day in range(1, 29):
    keep_told(sys.argv[1], {"a-model": date(2027, 2, day)})
"""


def test_processes_that_refresh_at_once_keep_what_each_was_told(tmp_path: Path) -> None:
    hosts = ("openai", "azure", "ours")
    running = [subprocess.Popen([sys.executable, "-c", REFRESH, host]) for host in hosts]
    assert [one.wait() for one in running] == [0, 0, 0]
    kept = json.loads((tmp_path / "home" / "shutdowns.json").read_bytes())["hosts"]
    assert {host: kept[host]["shuts_down"] for host in hosts} == {host: {"a-model": "2027-02-28"} for host in hosts}


@pytest.mark.parametrize("given", [5, "openai", object()])
def test_what_is_no_backend_is_told(given: Any) -> None:
    with pytest.raises(ParameterError, match="no list of models with dates"):
        finetune_kit.refresh_models(given)


@pytest.mark.parametrize("host", [5, "opnai", ["openai"]])
def test_jobs_of_a_host_that_is_not_known_are_refused(host: Any) -> None:
    with pytest.raises(ParameterError, match="host"):
        finetune_kit.jobs(host)
    assert list(finetune_kit.jobs("openai")) == []


def test_jobs_show_when_their_models_close_and_what_to_do(host: HostSimulator, backend: HostedBackend) -> None:
    split = Dataset.from_records([(f"Where is parcel {number}?", "track") for number in range(20)]).split(0.8)
    with pytest.warns(ShutdownWarning) as warned:
        split.train(model="gpt-4.1", backend=backend)
    [warning] = warned
    assert "takes no new training from 2027-01-06" in str(warning.message)
    assert warning.filename == __file__
    [row] = finetune_kit.jobs()
    assert (row.shuts_down, row.days_left) == (date(2027, 1, 14), 50)
    table = str(finetune_kit.jobs())
    assert "2027-01-14, 50 days" in table
    assert "The models of 1 job shut down within 90 days or have: finetune_kit.archive_all" in table
    finetune_kit.refresh_models(backend)
    assert finetune_kit.jobs()[0].days_left == 96


def test_a_model_that_was_shut_down_is_called_so(host: HostSimulator, backend: HostedBackend) -> None:
    job_id = ended(host, started(host, lines(chat_rows(range(20)))))
    name = backend.job(job_id).fine_tuned_model or ""
    finetune_kit.refresh_models(backend)
    with using(dated(date(2027, 3, 2))), backend_of(host) as later:
        with pytest.raises(ModelClosedError, match=r"It was shut down on 2027-03-01.*job\.migrate\(to=\.\.\.\)"):
            ModelClient(name, later).complete("Where is parcel 3?")
        with pytest.raises(ModelClosedError, match="2027-03-01"):
            later.chat("gpt-4.1", [[{"role": "user", "content": "Hi"}]], _greedy())


def _asked(name: str, backend: HostedBackend) -> None:
    ModelClient(name, backend).complete("Where is parcel 3?")


def _asked_asynchronously(name: str, backend: HostedBackend) -> None:
    async def ask() -> None:
        await ModelClient(name, backend).complete_async("Where is parcel 3?")

    asyncio.run(ask())


def _streamed(name: str, backend: HostedBackend) -> None:
    for _ in ModelClient(name, backend).stream("Where is parcel 3?"):
        pass


@pytest.mark.parametrize("ask", [_asked, _asked_asynchronously, _streamed])
def test_a_call_of_a_model_that_closes_soon_warns_until_the_host_says_otherwise(
    ask: Callable[[str, HostedBackend], None], host: HostSimulator, backend: HostedBackend
) -> None:
    name = backend.job(ended(host, started(host, lines(chat_rows(range(20)))))).fine_tuned_model or ""
    with pytest.warns(ShutdownWarning, match="is shut down on 2027-01-14, in 50 days") as warned:
        ask(name, backend)
    [warning] = warned
    assert warning.filename == __file__
    finetune_kit.refresh_models(backend)  # 96 days
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(name, backend)


def test_one_client_warns_once(host: HostSimulator, backend: HostedBackend) -> None:
    name = backend.job(ended(host, started(host, lines(chat_rows(range(20)))))).fine_tuned_model or ""
    model = ModelClient(name, backend)
    with pytest.warns(ShutdownWarning):
        model.complete("Where is parcel 0?")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.complete("Where is parcel 1?")


def test_a_model_that_nobody_knows_is_no_closed_one(backend: HostedBackend) -> None:
    with pytest.raises(UnknownModelError):
        backend.chat(f"ft:{MODEL}:nobody::abc", [[{"role": "user", "content": "Hi"}]], _greedy())


def _greedy() -> Sampling:
    return Sampling()


def test_dates_reach_the_door_of_train(host: HostSimulator, backend: HostedBackend) -> None:
    finetune_kit.refresh_models(backend)
    split = Dataset.from_records([(f"Where is parcel {number}?", "track") for number in range(20)]).split(0.8)
    day = dated(date(2027, 3, 1))
    closed = pytest.raises(ModelClosedError, match="was shut down on 2027-03-01")
    with using(day), backend_of(host) as later, closed:
        split.train(model=MODEL, backend=later)
