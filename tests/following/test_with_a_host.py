"""Jobs on a real server are followed over HTTP: each event once, within the limit, through faults on a script."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

import finetune_kit
from finetune_kit._clock import FastClock, using
from finetune_kit.backends import Event, HostedBackend
from finetune_kit.errors import AuthenticationError
from finetune_kit.following import Lost, StateChange, Stuck
from finetune_kit.job import FineTuneJob
from finetune_kit.testing import Fault, HostSimulator
from finetune_kit.testing.simulator import Pace
from tests.benchmarks.following import KEY, MODEL, busiest, started

PACE = Pace(validating_seconds=20, queued_seconds=40, running_seconds=240)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    with using(FastClock(200)):
        yield


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator(host="nebius", models=[MODEL], key=KEY, pace=PACE) as simulator:
        yield simulator


def jobs_on(host: HostSimulator, number: int) -> list[FineTuneJob]:
    backend = HostedBackend(api_key=KEY, base_url=host.base_url, host="nebius")
    with openai.OpenAI(api_key=KEY, base_url=host.base_url, max_retries=0) as client:
        ids = started(client, number)
    return [FineTuneJob(backend.job(job_id), backend) for job_id in ids]


def events_at(host: HostSimulator, jobs: list[FineTuneJob]) -> Counter[str]:
    host.faults.clear()
    return Counter(event.id for job in jobs for event in job.backend.events(job.id))


def test_thirty_jobs_are_told_once_each_within_the_limit(host: HostSimulator) -> None:
    jobs = jobs_on(host, 30)
    host.requests.clear()
    told = list(finetune_kit.follow(jobs))
    times = [request.at for request in host.requests]
    limit = jobs[0].backend.profile.requests_per_minute
    assert busiest(times, 50) <= limit, "a busy machine may explain ten seconds, which are a twentieth of one here"
    assert Counter(news.id for _, news in told if isinstance(news, Event)) == events_at(host, jobs)
    assert Counter(job.id for job, news in told if isinstance(news, StateChange) and news.ended) == Counter(
        job.id for job in jobs
    )


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_missed_or_repeated_whatever_the_host_does(seed: int) -> None:
    faults = [
        Fault("error", "GET /fine_tuning/**", times=None, probability=0.1, status=500),
        Fault("error", "GET /fine_tuning/**", times=None, probability=0.1, status=503, retry_after="3"),
        Fault("rate_limit", "GET /fine_tuning/**", times=None, probability=0.05, retry_after="130"),
        Fault("html", "GET /fine_tuning/**", times=None, probability=0.1),
        Fault("half_json", "GET /fine_tuning/**", times=None, probability=0.1),
    ]
    with HostSimulator(host="nebius", models=[MODEL], key=KEY, pace=PACE, seed=seed) as host:
        jobs = jobs_on(host, 8)
        host.faults.add(*faults)
        told = list(finetune_kit.follow(jobs))
        assert Counter(news.id for _, news in told if isinstance(news, Event)) == events_at(host, jobs)
        assert sum(isinstance(news, StateChange) and news.ended for _, news in told) == len(jobs)


def test_a_queue_that_stands_still_is_told_whatever_the_hosts_clock_shows(host: HostSimulator) -> None:
    host.clock_skew_seconds = -86_400
    host.faults.add(Fault("stuck", at="queued", times=None))
    [job] = jobs_on(host, 1)
    stuck: list[object] = []

    def tell(notice: object) -> None:
        stuck.append(notice)
        host.faults.clear()
        host.finish(job.id)

    job.wait(on_notice=tell, stuck_after_seconds=900)
    [notice] = stuck
    assert isinstance(notice, Stuck)
    assert (notice.status, notice.job_id) == ("queued", job.id)
    assert 900 <= notice.idle_seconds < 2000


def test_an_unknown_status_is_followed_to_the_end(host: HostSimulator, caplog: pytest.LogCaptureFixture) -> None:
    [job] = jobs_on(host, 1)
    host.faults.add(Fault("change", "GET /fine_tuning/jobs/*", times=3, fields={"status": "being_moderated"}))
    with caplog.at_level(logging.WARNING, "finetune_kit"):
        assert job.wait().state.status == "succeeded"
    assert caplog.text.count("'being_moderated', an unknown status") == 1


def test_a_revoked_key_ends_it_and_is_shown_nowhere(host: HostSimulator, caplog: pytest.LogCaptureFixture) -> None:
    jobs = jobs_on(host, 5)
    host.faults.add(Fault("error", "GET /fine_tuning/**", times=None, status=401))
    told = list(finetune_kit.follow(jobs))
    assert [type(news.error) for _, news in told if isinstance(news, Lost)] == [AuthenticationError] * 5
    with pytest.raises(AuthenticationError):
        jobs[0].wait()
    assert KEY not in caplog.text
