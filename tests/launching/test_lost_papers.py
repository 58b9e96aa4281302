"""Where the ledger is gone, or the account has another key, the same order is still one job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_kit import Dataset, FineTuneJob, HostedBackend
from finetune_kit._clock import using
from finetune_kit.history import jobs
from finetune_kit.testing import HostSimulator, Pace
from tests.hosts_of import november

pytestmark = pytest.mark.filterwarnings("ignore::finetune_kit.errors.ShutdownWarning")

SPLIT = Dataset.from_records(
    {
        "messages": [
            {"role": "user", "content": f"Where is parcel {n}?"},
            {"role": "assistant", "content": "On its way."},
        ]
    }
    for n in range(20)
).split(0.8)
MINI = "gpt-4.1-mini-2025-04-14"


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with using(november()), HostSimulator(pace=Pace.by_hand()) as simulator:
        yield simulator


def train(host: HostSimulator, **more: Any) -> FineTuneJob:
    return SPLIT.train(MINI, backend=HostedBackend(host.api_key, host.base_url), **more)


def renew_the_key(host: HostSimulator) -> None:
    host.stop()
    host.api_key = "sk-simulator-renewed"
    host.start()


def asked_for_jobs(host: HostSimulator) -> list[str]:
    return [f"{one.method} {one.path}" for one in host.requests if one.path.endswith("/fine_tuning/jobs")]


@pytest.mark.parametrize("lost", ["the ledger", "the key", "both"])
def test_the_same_order_is_taken_up_where_its_papers_are_lost(
    host: HostSimulator, home: Path, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = train(host, suffix="parcels", metadata={"team": "support"})
    if lost != "the key":
        shutil.rmtree(home)
    if lost != "the ledger":
        renew_the_key(host)
    again = train(host, suffix="parcels", metadata={"team": "support"})
    assert again.id == first.id
    assert len(host.jobs) == 1
    assert "It is taken, and nothing new is started" in caplog.text
    assert first.id in {row.job_id for row in jobs()}
    assert train(host, suffix="parcels", metadata={"team": "support"}).id == first.id, "it is in the ledger from now on"
    host.finish(first.id)
    card = again.wait().card
    assert (card.kind, card.base, card.job_id, card.training is not None) == ("chat", MINI, first.id, True)


def test_another_order_is_another_job(host: HostSimulator, home: Path) -> None:
    ids = [train(host, suffix="parcels").id]
    for more in ({"suffix": "other"}, {"seed": 1}, {"n_epochs": 2}, {"metadata": {"team": "support"}}):
        shutil.rmtree(home)
        ids.append(train(host, **{"suffix": "parcels", **more}).id)
    assert len(set(ids)) == len(host.jobs) == 5


@pytest.mark.parametrize("status", ["succeeded", "cancelled"])
def test_a_job_that_is_over_is_nobodys_order_any_more(host: HostSimulator, home: Path, status: str) -> None:
    first = train(host)
    if status == "cancelled":
        first.cancel()
    else:
        host.finish(first.id)
    shutil.rmtree(home)
    assert train(host).id != first.id


def test_the_host_is_asked_once_for_an_order_that_is_new_here_and_never_for_one_that_is_not(
    host: HostSimulator,
) -> None:
    train(host)
    assert asked_for_jobs(host) == ["GET /fine_tuning/jobs", "POST /fine_tuning/jobs"]
    train(host)
    assert len(asked_for_jobs(host)) == 2


def test_a_host_that_heeds_no_filter_costs_one_question_and_is_not_believed(host: HostSimulator, home: Path) -> None:
    ids = [train(host, seed=seed).id for seed in range(3)]
    shutil.rmtree(home)
    with HostedBackend(host.api_key, host.base_url) as backend:
        assert len(backend._jobs.ordered("no order of anybody's")) == 0
    assert train(host, seed=7).id not in ids
