"""Whatever goes wrong at a host or on the way to it is one of our errors, and shows no secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from finetune_kit import HostedBackend, ModelCard, errors
from finetune_kit.backends import JobSpec, Sampling
from finetune_kit.hosts import Resolved
from finetune_kit.testing import Fault, HostSimulator
from finetune_kit.testing.simulator.faults import Kind
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.simulated import MODEL, hosts_with, simulated

ROWS = [f'{{"prompt": "Where is parcel {number}? ->", "completion": " track\\n"}}'.encode() for number in range(12)]


def spec(file_id: str) -> JobSpec:
    card = ModelCard(base=MODEL, requested_model=MODEL, kind="completion")
    return JobSpec(model=Resolved(requested=MODEL, model=MODEL), training_file=file_id, card=card)


def calls(backend: HostedBackend, file_id: str, job_id: str, model: str) -> dict[str, Callable[[], object]]:
    """Everything that asks the host; what creates something stands in front."""
    chat = [[{"role": "user", "content": "Hi"}]]
    asked = Sampling(max_tokens=3)
    return {
        "start": lambda: backend.start(spec(file_id)),
        "upload": lambda: backend.upload(SpooledFile.of(ROWS, filename="a.jsonl")),
        "started": lambda: backend.started(spec(file_id)),
        "job": lambda: backend.job(job_id),
        "jobs": backend.jobs,
        "job_page": backend.job_page,
        "events": lambda: backend.events(job_id),
        "checkpoints": lambda: backend.checkpoints(job_id),
        "file": lambda: backend.file(file_id),
        "files": backend.files,
        "file_content": lambda: backend.file_content(file_id),
        "preflight": lambda: backend.preflight(Resolved(requested=MODEL, model=MODEL)),
        "card": lambda: backend.card(model),
        "complete": lambda: backend.complete(model, ["Hi"], asked),
        "chat": lambda: backend.chat(MODEL, chat, asked),
        "rank": lambda: backend.rank(model, ["Hi"], ["a", "b"]),
        "stream": lambda: list(backend.stream(model, "Hi", asked)),
        "cancel": lambda: backend.cancel(job_id),
        "delete_file": lambda: backend.delete_file(file_id),
    }


def training_files(host: HostSimulator) -> int:
    return sum(file["purpose"] == "fine-tune" for file in host.files)


def outcome(call: Callable[[], object]) -> errors.FinetuneKitError | None:
    """The error that a call ends with, if it does; what is none of ours ends the test."""
    try:
        call()
    except errors.FinetuneKitError as error:
        return error
    return None


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_fault_is_told_in_our_words(kind: Kind, tmp_path: Path) -> None:
    with simulated(tmp_path / "home") as (patient, host):
        file_id = patient.upload(SpooledFile.of(ROWS, filename="a.jsonl")).id
        job = patient.start(spec(file_id))
        host.finish(job.id)
        model = patient.job(job.id).fine_tuned_model or ""
        hosts = hosts_with(MODEL, "openai", tmp_path / "home")
        with HostedBackend(
            host.api_key, host.base_url, timeout_seconds=0.2, hosts=hosts, home=tmp_path / "new"
        ) as backend:
            for name, call in calls(backend, file_id, job.id, model).items():
                host.faults.clear()
                host.faults.add(
                    Fault(kind, times=None, retry_after="3600", seconds=0.1 * (kind == "slow"), after_bytes=7)
                )
                jobs, files = len(host.jobs), training_files(host)
                error = outcome(call)
                told = "" if error is None else "".join(traceback.format_exception(error))
                assert host.api_key not in told, name
                assert host.api_key[-8:] not in told, name
                made = {"start": len(host.jobs) - jobs, "upload": training_files(host) - files}.get(name, 0)
                unclear = isinstance(error, errors.UnclearOutcomeError)
                assert made == 1 if error is None and name in {"start", "upload"} else made <= unclear, name
