"""The simulated host over the engine of this machine: a wire in front, real training behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_kit import LocalBackend
from finetune_kit.testing import HostSimulator
from tests.testing.simulator.clients import client_of, ended, started

pytestmark = pytest.mark.real_model


def test_a_job_is_really_trained_and_its_model_answers(real_home: Path) -> None:
    with HostSimulator(LocalBackend(home=real_home)) as host, client_of(host, timeout=60) as client:
        job = ended(client, started(client).id, patience_seconds=240)
        assert job.status == "succeeded"
        assert job.trained_tokens
        events = client.fine_tuning.jobs.list_events(job.id, limit=100).data
        losses = [event.data["train_loss"] for event in reversed(events) if isinstance(event.data, dict)]
        assert losses[-1] < losses[0]
        assert client.files.content(job.result_files[0]).read()
        answer = client.chat.completions.create(
            model=job.fine_tuned_model or "",
            messages=[{"role": "user", "content": "Where is parcel 7?"}],
            max_tokens=8,
            logprobs=True,
            top_logprobs=2,
        )
        assert answer.choices[0].message.content
        assert answer.usage is not None
        assert 0 < answer.usage.completion_tokens <= 8
