"""All jobs of an account come home within the host's limit, and one that fails keeps no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import HostedBackend, archive_all
from finetune_kit._clock import FastClock
from finetune_kit.archiving import ArchivedJob, folder_name, verify
from finetune_kit.errors import HostUnavailableError, ParameterError
from finetune_kit.testing import Fault, HostSimulator
from tests.archiving.places import backend_of, chat_rows, client_of, ended, lines, started

TRAINING, VALIDATION = lines(chat_rows(range(20))), lines(chat_rows(range(20, 24)))


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator() as host:
        for _ in range(4):
            ended(host, started(host, TRAINING, VALIDATION))
        yield host


@pytest.fixture
def backend(host: HostSimulator) -> Iterator[HostedBackend]:
    with backend_of(host) as backend:
        yield backend


def ids(host: HostSimulator) -> list[str]:
    """The newest first."""
    return [str(job["id"]) for job in reversed(host.jobs)]


def test_every_job_comes_home_into_a_folder_of_its_own(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    told: list[ArchivedJob] = []
    archives = archive_all(backend, tmp_path / "all", on_archived=told.append)
    assert archives.whole
    assert [row.job_id for row in archives] == [row.job_id for row in told] == ids(host)
    folders = sorted((tmp_path / "all").iterdir())
    assert len(folders) == 4
    assert all(verify(folder) == () for folder in folders)
    assert str(archives).splitlines()[-1] == "4 in all: 4 whole, 0 partly, 0 not."
    assert "<td>whole</td>" in archives._repr_html_()


def test_one_that_fails_is_told_and_the_others_go_on(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    _, second, third, _ = ids(host)
    host.faults.add(
        Fault("change", f"GET /fine_tuning/jobs/{second}", times=None, without=("id",)),
        Fault("error", f"GET /fine_tuning/jobs/{third}/events", times=None, status=500),
    )
    archives = archive_all(backend, tmp_path)
    assert [row.how for row in archives] == ["whole", "not", "partly", "whole"]
    assert archives[1].archive is None
    assert archives[1].error
    assert "events (failed)" in archives[2].reason
    assert "4 in all: 2 whole, 1 partly, 1 not." in str(archives)
    host.faults.clear()
    asked = host.counts["GET /files/{id}/content"]
    again = archive_all(backend, tmp_path)
    assert again.whole
    assert host.counts["GET /files/{id}/content"] == asked + 3  # the one that had failed


def test_a_host_that_is_switched_off_half_way_is_not_asked_for_ever(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    def switch_off(row: ArchivedJob) -> None:
        if row.job_id == ids(host)[1]:
            host.faults.add(Fault("cut", times=None))

    before = len(host.requests)
    archives = archive_all(backend, tmp_path, on_archived=switch_off)
    assert [row.how for row in archives] == ["whole", "whole", "not", "not"]
    assert len(host.requests) - before < 60
    assert all("cut off" in row.error or "no answer" in row.error or row.error for row in archives[2:])
    host.faults.clear()
    assert archive_all(backend, tmp_path).whole


def test_a_list_that_cannot_be_had_is_an_error(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    host.faults.add(Fault("error", "GET /fine_tuning/jobs", times=None, status=503))
    with pytest.raises(HostUnavailableError):
        archive_all(backend, tmp_path)


def test_no_more_is_asked_in_a_minute_than_the_host_allows(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path, fast: FastClock
) -> None:
    asked, begun = len(host.requests), fast.monotonic()
    archive_all(backend, tmp_path, yardstick=0)
    minutes = (fast.monotonic() - begun) / 60
    assert len(host.requests) - asked <= backend.profile.requests_per_minute * (minutes + 1)
    assert minutes > 0.2


@pytest.mark.parametrize("rows", [20, 200])  # which is more steps, and so more events, than stand on one page
def test_every_request_counts_those_for_further_pages_too(rows: int, tmp_path: Path, fast: FastClock) -> None:
    content = lines(chat_rows(range(rows)))
    with HostSimulator() as host, backend_of(host) as backend:
        with client_of(host) as client:
            file = client.files.create(file=("a.jsonl", content, "application/jsonl"), purpose="fine-tune").id
            for _ in range(60):
                ended(host, client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file).id)
        asked, begun = len(host.requests), fast.monotonic()
        assert archive_all(backend, tmp_path, yardstick=0).whole
        minutes = (fast.monotonic() - begun) / 60
        assert (host.counts["GET /fine_tuning/jobs/{id}/events"] > 60) is (rows > 20)
        limit = backend.profile.requests_per_minute
        assert len(host.requests) - asked <= limit * minutes + limit // 10


def test_a_file_that_many_jobs_share_is_fetched_once(tmp_path: Path) -> None:
    with HostSimulator() as host, backend_of(host) as backend:
        with client_of(host) as client:
            file = client.files.create(file=("a.jsonl", TRAINING, "application/jsonl"), purpose="fine-tune").id
            for _ in range(3):
                ended(host, client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file).id)
        archives = archive_all(backend, tmp_path)
        assert archives.whole
        contents = [one for one in host.requests if one.path == f"/files/{file}/content"]
        assert len(contents) == 1
        paths = [row.archive.path("training") for row in archives if row.archive is not None]
        assert [path.read_bytes() for path in paths if path is not None] == [TRAINING] * 3


def test_one_budget_is_for_all_models_together(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    one = 0.0007  # four short questions to a model of $3 and $12 for a million tokens
    archives = archive_all(backend, tmp_path, budget=one)
    there = [row.archive.path("answers") is not None for row in archives if row.archive is not None]
    assert True in there
    assert False in there
    assert archives.whole


def test_jobs_can_be_named(host: HostSimulator, backend: HostedBackend, tmp_path: Path) -> None:
    first = ids(host)[0]
    archives = archive_all(backend, tmp_path, jobs=[first, "ftjob-nobodys", "../../etc"])
    assert [row.how for row in archives] == ["whole", "not", "not"]
    with pytest.raises(ParameterError, match="Put it into a list"):
        archive_all(backend, tmp_path, jobs=first)


@given(st.text(), st.text())
def test_no_id_leads_out_of_the_folder_and_no_two_share_one(one: str, other: str) -> None:
    name = folder_name(one)
    assert Path(name).name == name
    assert name not in ("", ".", "..")
    assert "\\" not in name
    assert ":" not in name
    if one != other:
        assert name.casefold() != folder_name(other).casefold()


@pytest.mark.parametrize("name", ["con", "nul", "com1", ".", "..", "", "-", "FTJOB-A", "a" * 300, "ftjob-\ud800"])
def test_names_that_file_systems_mistake_are_changed(name: str) -> None:
    found = folder_name(name)
    assert found != name
    assert len(found) < 100


def test_harmless_ids_stay_as_they_are() -> None:
    assert folder_name("ftjob-abc123") == "ftjob-abc123"
