"""What the simulator's tests share: rows to train on, and the official client."""

from __future__ import annotations

import time

import orjson
from openai import AzureOpenAI, OpenAI
from openai.types import FileObject
from openai.types.fine_tuning import FineTuningJob

from finetune_kit.testing import HostSimulator

PATIENCE_SECONDS = 20


def chat_lines(rows: int = 20) -> bytes:
    """Questions about parcels and refunds, in turn."""
    asked = [
        (f"Where is parcel {n}?", "track") if n % 2 else (f"Money for order {n} back!", "refund") for n in range(rows)
    ]
    return b"\n".join(
        orjson.dumps({"messages": [{"role": "user", "content": one}, {"role": "assistant", "content": answer}]})
        for one, answer in asked
    )


def client_of(host: HostSimulator, *, timeout: float = 10.0) -> OpenAI:
    """The official client, which asks once."""
    return OpenAI(api_key=host.api_key, base_url=host.base_url, max_retries=0, timeout=timeout)


def azure_client_of(host: HostSimulator) -> AzureOpenAI:
    """Likewise, by Azure's older paths."""
    return AzureOpenAI(api_key=host.api_key, azure_endpoint=host.endpoint, api_version="2024-10-21", max_retries=0)


def uploaded(client: OpenAI, content: bytes | None = None, *, filename: str = "training.jsonl") -> FileObject:
    """A training file at the host."""
    file = (filename, chat_lines() if content is None else content, "application/jsonl")
    return client.files.create(file=file, purpose="fine-tune")


def started(client: OpenAI, *, model: str = "gpt-4.1") -> FineTuningJob:
    """A job on such a file."""
    return client.fine_tuning.jobs.create(model=model, training_file=uploaded(client).id)


def ended(client: OpenAI, job_id: str, *, patience_seconds: float = PATIENCE_SECONDS) -> FineTuningJob:
    """A job when it has ended."""
    deadline = time.monotonic() + patience_seconds
    while True:
        job = client.fine_tuning.jobs.retrieve(job_id)
        if job.status in ("succeeded", "failed", "cancelled"):
            return job
        assert time.monotonic() < deadline, f"the job is still {job.status}"
        time.sleep(0.01)
