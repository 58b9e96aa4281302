"""What each fault does to a client that really opens a socket."""

from __future__ import annotations

import contextlib
import json

import openai
import pytest
from openai import OpenAI

from finetune_kit.errors import ParameterError
from finetune_kit.testing import Fault, HostSimulator
from tests.testing.simulator.clients import client_of, started, uploaded

CREATE = "POST /fine_tuning/jobs"


def creation_fails(host: HostSimulator, fault: Fault, error: type[Exception], *, timeout: float = 5.0) -> Exception:
    """Create a job under a fault; the error that the client saw."""
    with client_of(host, timeout=timeout) as client:
        host.faults.add(fault)
        with pytest.raises(error) as caught:
            started(client)
    return caught.value


@pytest.mark.parametrize("kind", ["cut", "cut_answer"])
def test_a_cut_connection_is_no_answer(host: HostSimulator, kind: str) -> None:
    fault = Fault(kind, CREATE, takes_effect=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    creation_fails(host, fault, openai.APIConnectionError)
    assert len(host.jobs) == 1


def test_a_connection_cut_before_the_effect_leaves_nothing(host: HostSimulator) -> None:
    creation_fails(host, Fault("cut", CREATE), openai.APIConnectionError)
    assert host.jobs == []


def test_a_job_may_be_created_without_an_answer(host: HostSimulator) -> None:
    creation_fails(host, Fault("no_answer", CREATE), openai.APITimeoutError, timeout=0.3)
    assert len(host.jobs) == 1
    assert host.requests[-1].status is None


@pytest.mark.parametrize("status", [500, 502, 503, 529])
@pytest.mark.parametrize("takes_effect", [True, False])
def test_trouble_may_come_after_the_effect(host: HostSimulator, *, status: int, takes_effect: bool) -> None:
    fault = Fault("error", CREATE, status=status, takes_effect=takes_effect)
    error = creation_fails(host, fault, openai.InternalServerError)
    assert isinstance(error, openai.APIStatusError)
    assert error.status_code == status
    assert len(host.jobs) == takes_effect


def test_retry_after_is_sent_as_it_was_told(host: HostSimulator) -> None:
    error = creation_fails(host, Fault("rate_limit", CREATE, retry_after="7200"), openai.RateLimitError)
    assert isinstance(error, openai.APIStatusError)
    assert error.response.headers["retry-after"] == "7200"
    assert host.jobs == []


def test_a_used_up_quota_has_its_own_code(host: HostSimulator) -> None:
    error = creation_fails(host, Fault("quota", CREATE), openai.RateLimitError)
    assert isinstance(error, openai.APIStatusError)
    assert error.code == "insufficient_quota"


def test_a_page_of_html_comes_with_200(host: HostSimulator, client: OpenAI) -> None:
    host.faults.add(Fault("html", "GET /models"))
    raw = client.models.with_raw_response.list()
    assert raw.headers["content-type"].startswith("text/html")
    assert raw.http_response.status_code == 200


def test_half_a_json_text_comes_as_json(host: HostSimulator) -> None:
    creation_fails(host, Fault("half_json", CREATE), json.JSONDecodeError)
    assert len(host.jobs) == 1


def test_fields_can_be_changed_and_left_out(host: HostSimulator, client: OpenAI) -> None:
    host.faults.add(Fault("change", CREATE, fields={"status": "dreaming", "created_at": None}, without=("id",)))
    job = started(client)
    assert [getattr(job, name) for name in ("status", "created_at", "id")] == ["dreaming", None, None]


def test_a_list_may_repeat_an_event(host: HostSimulator, client: OpenAI) -> None:
    job = started(client)
    host.finish(job.id)
    host.faults.add(Fault("repeat_items", "GET /fine_tuning/jobs/*/events"))
    ids = [event.id for event in client.fine_tuning.jobs.list_events(job.id).data]
    assert len(ids) == len(set(ids)) + 1


def test_a_stuck_job_never_leaves_the_queue(host: HostSimulator, client: OpenAI) -> None:
    host.faults.add(Fault("stuck", CREATE))
    job = started(client)
    host.clock_skew_seconds = 86_400
    assert client.fine_tuning.jobs.retrieve(job.id).status == "queued"
    assert host.advance(job.id) == "running"


def test_a_new_job_may_be_listed_later(host: HostSimulator, client: OpenAI) -> None:
    host.faults.add(Fault("late_listing", CREATE, seconds=60))
    job = started(client)
    assert client.fine_tuning.jobs.list().data == []
    assert client.fine_tuning.jobs.retrieve(job.id).id == job.id
    host.clock_skew_seconds = 61
    assert [one.id for one in client.fine_tuning.jobs.list()] == [job.id]


def test_a_fault_hits_the_nth_match_and_so_many(host: HostSimulator, client: OpenAI) -> None:
    host.faults.add(Fault("error", "GET /files", nth=2, times=2))
    seen: list[int] = []
    for _ in range(5):
        try:
            client.files.list()
            seen.append(200)
        except openai.InternalServerError as error:
            seen.append(error.status_code)
    assert seen == [200, 500, 500, 200, 200]
    assert host.faults.pending == []


def test_chance_is_the_same_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[int | None]:
        with HostSimulator(seed=seed, faults=[Fault("error", times=None, probability=0.5)]) as host:
            with client_of(host) as client:
                for _ in range(20):
                    with contextlib.suppress(openai.InternalServerError):
                        client.files.list()
            return [request.status for request in host.requests]

    assert outcomes(1) == outcomes(1) != outcomes(2)


def test_other_paths_are_left_alone(host: HostSimulator, client: OpenAI) -> None:
    host.faults.add(Fault("error", "GET /files/*", times=None))
    file = uploaded(client)
    assert client.files.list().data == [file]
    assert client.files.content(file.id).read()
    with pytest.raises(openai.InternalServerError):
        client.files.retrieve(file.id)


def test_an_unknown_fault_is_refused_at_once() -> None:
    with pytest.raises(ParameterError, match="no fault 'explode'"):
        Fault("explode")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
