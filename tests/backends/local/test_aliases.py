"""Whoever trains by the name of a hosted model gets one that runs here, and is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from finetune_kit import LocalBackend
from finetune_kit.hosts import SHIPPED, host_profile
from tests.backends.local.runs import colours

PUBLISHED = [
    "ada",
    "babbage",
    "curie",
    "davinci",
    "babbage-002",
    "davinci-002",
    "gpt-3.5-turbo",
    "gpt-3.5-turbo-0125",
    "gpt-3.5-turbo-0613",
    "gpt-3.5-turbo-1106",
    "gpt-3.5-turbo-instruct",
    "gpt-4",
    "gpt-4-0613",
    "gpt-4o",
    "gpt-4o-2024-08-06",
    "gpt-4o-2024-11-20",
    "gpt-4o-mini",
    "gpt-4o-mini-2024-07-18",
    "gpt-4.1",
    "gpt-4.1-2025-04-14",
    "gpt-4.1-mini",
    "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano",
    "gpt-4.1-nano-2025-04-14",
    "o4-mini",
    "o4-mini-2025-04-16",
    "gpt-5",
    "gpt-oss-20b",
    "Ministral-3B",
    "Qwen-32B",
    "Llama-3.3-70B",
]
"""Names that OpenAI or Azure took for fine-tuning at some time, or list beside them."""


def hosted_names() -> list[str]:
    profiles = [host_profile(host) for host in SHIPPED if host != "local"]
    return sorted({name for profile in profiles for name in (*profile.models, *profile.aliases)})


@pytest.mark.parametrize("name", sorted({*PUBLISHED, *hosted_names()}))
def test_name_of_a_hosted_model_has_a_stand_in_that_is_told(name: str) -> None:
    resolved = host_profile("local").resolve(name)
    assert resolved.model == "smollm2-135m"
    assert resolved.note.startswith(f"'{name}' does not exist on 'local': 'smollm2-135m' stands in for it.")


def test_first_event_and_card_tell_of_the_stand_in(tiny_base: Path, tmp_path: Path) -> None:
    backend = LocalBackend(home=tmp_path / "home", base=str(tiny_base))
    job = colours().train("gpt-5", backend=backend, n_epochs=1)
    first = job.events()[0]
    assert first.level == "warn"
    assert first.message.startswith(f"'gpt-5' does not exist on 'local': '{tiny_base}' stands in for it.")
    job.wait(timeout_seconds=60)
    assert job.card.requested_model == "gpt-5"
    assert job.card.base == str(tiny_base)
    assert first.message in job.card.notes
