"""What would stop a job is told before anything is uploaded, each with its own error."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from finetune_kit import HostedBackend, errors
from finetune_kit.hosts import Resolved, today
from finetune_kit.testing import HostSimulator
from tests.backends.hosted.scripted_host import Asked, Says, answering, error
from tests.backends.hosted.simulated import MODEL, hosts_with

BASE = "gpt-4.1-2025-04-14"
ASKED = Resolved(requested=BASE, model=BASE)
LIMITS = {"id": BASE, "curr_pending_jobs": 0, "max_pending_jobs": 3, "jobs_so_far_today": 1, "max_jobs_per_day": 8}


def host_with(*, model: dict[str, object] | None = None, limits: dict[str, object] | None = None) -> Says:
    return Says({"data": [{"id": BASE, **(model or {}), **LIMITS, **(limits or {})}]})


def test_a_good_key_a_tunable_model_and_a_free_slot_are_enough() -> None:
    with answering(host_with()) as (backend, host):
        backend.preflight(ASKED)
        assert host.paths("GET") == ["/models", "/fine_tuning/model_limits"]


def test_a_wrong_key_is_told() -> None:
    with answering(error(401)) as (backend, _), pytest.raises(errors.AuthenticationError):
        backend.preflight(ASKED)


def test_a_model_that_the_key_cannot_see_is_told() -> None:
    with answering(Says({"data": [{"id": "gpt-6"}]})) as (backend, _), pytest.raises(errors.AccessError, match="gpt-6"):
        backend.preflight(ASKED)


@pytest.mark.parametrize(
    "model",
    [
        {"shutdown_date": "2020-01-01"},
        {"shutdown_date": 1_577_836_800},
        {"capabilities": {"fine_tune": False}},
        {"deprecation": {"fine_tune": 1_577_836_800}},
    ],
)
def test_a_closed_model_is_told(model: dict[str, object]) -> None:
    with answering(host_with(model=model)) as (backend, _), pytest.raises(errors.ModelClosedError):
        backend.preflight(ASKED)


def test_a_checkpoint_that_is_not_listed_can_be_trained_further() -> None:
    tuned = f"ft:{BASE}:me::1"
    with answering(host_with()) as (backend, _):
        backend.preflight(backend.resolve(f"{tuned}:ckpt-step-48"))
        with pytest.raises(errors.AccessError, match="does not list"):
            backend.preflight(backend.resolve(tuned))


def test_what_was_trained_from_a_closed_model_is_not_trained_further() -> None:
    tuned = f"ft:{BASE}:me::1"
    listed = Says({"data": [{"id": tuned}, {"id": BASE, "shutdown_date": "2020-01-01"}]})
    with answering(listed) as (backend, _), pytest.raises(errors.ModelClosedError, match="2020-01-01"):
        backend.preflight(backend.resolve(tuned))


def test_a_model_that_ends_soon_is_a_warning() -> None:
    soon = (today() + timedelta(days=30)).isoformat()
    with (
        answering(host_with(model={"shutdown_date": soon})) as (backend, _),
        pytest.warns(errors.ShutdownWarning, match=soon),
    ):
        backend.preflight(ASKED)


def test_a_full_queue_is_told() -> None:
    full = host_with(limits={"curr_pending_jobs": 3})
    with answering(full) as (backend, _), pytest.raises(errors.JobSlotsError):
        backend.preflight(ASKED)
    used = host_with(limits={"jobs_so_far_today": 8})
    with answering(used) as (backend, _), pytest.raises(errors.JobSlotsError) as caught:
        backend.preflight(ASKED)
    assert 0 < (caught.value.retry_after_seconds or 0) <= 86_400


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_host_that_cannot_be_asked_is_not_punished(status: int) -> None:
    with answering(error(status)) as (backend, _):
        backend.preflight(ASKED)


def test_a_cut_off_organisation_is_told_by_its_limits() -> None:
    def answer(asked: Asked) -> Says:
        cut = error(403, "winding down the fine-tuning platform", code="training_not_available")
        return cut if asked.path.endswith("model_limits") else host_with()

    with answering(answer) as (backend, _), pytest.raises(errors.TrainingNotAvailableError, match="LocalBackend"):
        backend.preflight(ASKED)


def test_strange_answers_are_no_reason_to_stop() -> None:
    odd = Says({"data": [{"id": BASE, "shutdown_date": {}, "max_pending_jobs": "many", "curr_pending_jobs": None}, 3]})
    with answering(odd) as (backend, _):
        backend.preflight(ASKED)


def test_the_simulated_host_tells_it_all(tmp_path: Path) -> None:
    hosts = hosts_with(MODEL, "openai", tmp_path)
    asked = Resolved(requested=MODEL, model=MODEL)
    with (
        HostSimulator(models=[MODEL, "another"], shutdown_dates={MODEL: "2020-01-01"}) as host,
        HostedBackend(host.api_key, host.base_url, hosts=hosts) as backend,
        pytest.raises((errors.ModelClosedError, errors.AccessError)),
    ):
        backend.preflight(asked)
