"""A model's papers come back though its host keeps none: from this machine, or from the job on another one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from finetune_kit import HostedBackend, ModelCard, PromptTemplate, errors
from finetune_kit.backends import JobSpec, JobState
from finetune_kit.cards import DataFingerprint, Hyperparameters
from finetune_kit.ledger import Ledger, Place
from finetune_kit.testing import HostSimulator
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.scripted_host import Asked, Says, answering, error
from tests.backends.hosted.simulated import MODEL, by_key, simulated

TEMPLATE = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
ROWS = [{"prompt": f"Where is parcel {number}? ->", "completion": " track\n"} for number in range(12)]


def trained(backend: HostedBackend, host: HostSimulator, *, requested: str = MODEL) -> tuple[JobSpec, JobState]:
    card = ModelCard(base=MODEL, requested_model=requested, kind="completion", template=TEMPLATE, labels=("track", "x"))
    marked = backend.profile.byte_order_mark
    file = SpooledFile.of([json.dumps(row).encode() for row in ROWS], filename="a.jsonl", byte_order_mark=marked)
    spec = JobSpec(
        model=backend.resolve(MODEL),
        training_file=backend.upload(file).id,
        hyperparameters=Hyperparameters(n_epochs=2),
        card=card,
    )
    job = backend.start(spec)
    host.finish(job.id)
    return replace(spec, card=card.model_copy(update={"training": DataFingerprint(rows=12, sha256=file.sha256)})), (
        backend.job(job.id)
    )


@pytest.mark.parametrize("host", ["openai", "azure"])
def test_a_card_comes_back_filled_in(host: str, tmp_path: Path) -> None:
    with simulated(tmp_path / "home", host=host) as (backend, simulator):
        spec, job = trained(backend, simulator)
        card = backend.card(job.fine_tuned_model or "")
        assert (card.name, card.job_id, card.created_at) == (job.fine_tuned_model, job.id, job.finished_at)
        assert (card.template, card.labels, card.training) == (TEMPLATE, ("track", "x"), spec.card.training)
        assert card.hyperparameters.n_epochs == 2
        assert card.hyperparameters.batch_size is not None
        assert card.backend == host


def test_a_card_that_was_filled_in_is_read_without_asking_the_host(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, host):
        _, job = trained(backend, host)
        name = job.fine_tuned_model or ""
        card = backend.card(name)
        before = len(host.requests)
        with by_key(host, tmp_path / "home") as other:
            assert other.card(name) == card
            assert other.card(f"{name}:ckpt-step-1").template == TEMPLATE
        assert len(host.requests) == before


def test_the_card_of_a_job_whose_end_was_seen_here_is_found_without_a_list_of_all_jobs(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, host):
        _, job = trained(backend, host)
        Ledger(tmp_path / "home").intents.saw(
            Place("openai", backend.account), job.id, status=job.status, fine_tuned_model=job.fine_tuned_model
        )
        before = host.counts["GET /fine_tuning/jobs"]
        assert backend.card(job.fine_tuned_model or "").job_id == job.id
        assert host.counts["GET /fine_tuning/jobs"] == before


def test_another_machine_learns_the_template_from_the_job(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, host):
        _, job = trained(backend, host, requested="davinci")
        with by_key(host, tmp_path / "elsewhere") as other:
            card = other.card(job.fine_tuned_model or "")
            first = other.events(job.id)[0]
        assert (card.template, card.labels, card.kind) == (TEMPLATE, ("track", "x"), "completion")
        assert (card.base, card.requested_model, card.job_id) == (MODEL, "davinci", job.id)
        assert "davinci" in first.message
        assert first == backend.events(job.id)[0]


def test_a_job_that_somebody_else_started_has_a_card_as_well(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, host):
        file = SpooledFile.of([json.dumps(row).encode() for row in ROWS], filename="a.jsonl")
        client = backend._asker.client
        job = client.fine_tuning.jobs.create(model=MODEL, training_file=backend.upload(file).id)
        host.finish(job.id)
        name = backend.job(job.id).fine_tuned_model or ""
        card = backend.card(name)
        assert (card.name, card.base, card.template, card.kind) == (name, MODEL, None, "chat")
        assert card.job_id == job.id


def test_the_events_of_a_stand_in_begin_with_it_and_are_not_told_twice(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, host):
        _, job = trained(backend, host, requested="davinci")
        seen = backend.events(job.id)
        assert "davinci" in seen[0].message
        assert seen[0].level == "warn"
        assert backend.events(job.id, after=seen[0].id) == seen[1:]
        assert backend.events(job.id, after=seen[1].id) == seen[2:]


def test_a_base_has_a_card_and_what_is_not_there_has_none(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, _):
        assert backend.card(MODEL).base == MODEL
        for name in ("nowhere", f"ft:{MODEL}:org::1", f"ft:{MODEL}:org::1:ckpt-step-3"):
            with pytest.raises(errors.UnknownModelError):
                backend.card(name)


def test_a_deployment_has_the_card_of_the_model_that_answers_there() -> None:
    base, number = "gpt-4o-mini-2024-07-18", "0" * 32
    tuned = f"{base}.ft-{number}-bot"
    job = {"id": f"ftjob-{number}", "status": "succeeded", "model": base, "fine_tuned_model": tuned, "created_at": 1}

    def answer(asked: Asked) -> Says:
        if asked.method == "GET":
            return Says(job)
        if asked.json["model"] != "support-bot":
            return error(404, "no such deployment", code="DeploymentNotFound")
        return Says({"model": tuned, "choices": [{"message": {"content": "Hi"}}]})

    with answering(answer, host="azure") as (backend, host):
        card = backend.card("support-bot")
        assert (card.name, card.base, card.job_id) == ("support-bot", base, job["id"])
        with pytest.raises(errors.UnknownModelError):
            backend.card("no-such-deployment")
        assert len(host.paths("GET")) == 1


def test_a_model_is_called_where_the_home_folder_cannot_be_used(tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (backend, host):
        _, job = trained(backend, host)
        blocked = tmp_path / "a file, not a folder"
        blocked.write_text("", "utf-8")
        hosts = tmp_path / "home" / "hosts.json"
        with HostedBackend(host.api_key, host.base_url, hosts=hosts, home=blocked) as other:
            assert other.card(job.fine_tuned_model or "").template == TEMPLATE
            assert other.events(job.id)


def test_no_secret_stands_in_the_ledger(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with simulated(home) as (backend, host):
        _, job = trained(backend, host)
        backend.card(job.fine_tuned_model or "")
        for path in home.rglob("*"):
            assert not path.is_file() or host.api_key.encode() not in path.read_bytes()
