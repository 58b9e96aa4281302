"""What the tests of archives share: jobs on simulated hosts, started by the official client as anybody's are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from openai import OpenAI

from finetune_kit import HostedBackend
from finetune_kit.testing import HostSimulator

WORDS = ("track", "refund")


def asked(number: int) -> str:
    return f"Where is parcel {number}?" if number % 2 else f"Money for order {number} back!"


def lines(rows: list[Mapping[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def completion_rows(numbers: range) -> list[Mapping[str, Any]]:
    """As the founding tool prepared them: separator, leading space, stop sequence."""
    return [
        {"prompt": f"{asked(number)}\n\n###\n\n", "completion": f" {WORDS[number % 2 == 0]} END"} for number in numbers
    ]


def chat_rows(numbers: range) -> list[Mapping[str, Any]]:
    return [
        {
            "messages": [
                {"role": "system", "content": "Answer with one word."},
                {"role": "user", "content": asked(number)},
                {"role": "assistant", "content": WORDS[number % 2 == 0]},
            ]
        }
        for number in numbers
    ]


def tool_rows(numbers: range) -> list[Mapping[str, Any]]:
    """Every other conversation ends in a tool call, the others in words."""
    tool = {
        "type": "function",
        "function": {"name": "track", "parameters": {"type": "object", "properties": {"id": {"type": "string"}}}},
    }
    found: list[Mapping[str, Any]] = []
    for number in numbers:
        call = {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "track", "arguments": f'{{"id": "{number}"}}'},
        }
        answer: dict[str, Any] = {"role": "assistant", "content": "refund"}
        if number % 2:
            answer = {"role": "assistant", "content": None, "tool_calls": [call]}
        found.append({"messages": [{"role": "user", "content": asked(number)}, answer], "tools": [tool]})
    return found


def preference_rows(numbers: range) -> list[Mapping[str, Any]]:
    return [
        {
            "input": {"messages": [{"role": "user", "content": asked(number)}]},
            "preferred_output": [{"role": "assistant", "content": WORDS[number % 2 == 0]}],
            "non_preferred_output": [{"role": "assistant", "content": "I do not know."}],
        }
        for number in numbers
    ]


def client_of(host: HostSimulator) -> OpenAI:
    return OpenAI(api_key=host.api_key, base_url=host.base_url, max_retries=0, timeout=20.0)


def backend_of(host: HostSimulator) -> HostedBackend:
    return HostedBackend(api_key=host.api_key, base_url=host.base_url)


def started(
    host: HostSimulator, training: bytes, validation: bytes | None = None, *, model: str = "gpt-4.1", **more: Any
) -> str:
    """A job that this library knows nothing of; its id."""
    with client_of(host) as client:

        def stored(name: str, content: bytes) -> str:
            return client.files.create(file=(name, content, "application/jsonl"), purpose="fine-tune").id

        files: dict[str, Any] = {"training_file": stored("../../training.jsonl", training)}
        if validation is not None:
            files["validation_file"] = stored("validation.jsonl", validation)
        return client.fine_tuning.jobs.create(model=model, **files, **more).id


def ended(host: HostSimulator, *job: str) -> str:
    """Let jobs come to their ends; the last one's id."""
    for one in job:
        host.finish(one)
    return job[-1]
