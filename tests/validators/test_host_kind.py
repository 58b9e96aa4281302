"""A host that trains nothing on such examples any more is told of, and what to make of them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.hosts import HostProfile, ModelFacts, host_profile, today
from finetune_kit.records import Kind
from finetune_kit.validators import HostKind, Severity, validate
from tests.rows_of import PAIRS, chats, completions, conversation

CHATS = chats(conversation(("user", "Hello"), ("assistant", "Hi")))


def host(*kinds: Kind, ends: date | None = None) -> HostProfile:
    facts = ModelFacts(kinds=kinds, training_ends=ends, source="a test", as_of=date(2026, 11, 22))
    return host_profile("local").model_copy(update={"name": "there", "models": {"m": facts}})


def test_prompts_and_completions_for_a_host_with_chat_models_are_a_note() -> None:
    [issue] = validate(completions(*PAIRS), [HostKind(host("chat"))]).issues
    assert issue.severity is Severity.INFO
    assert issue.message.startswith("'there' has no model that can be trained on prompts and completions (")
    assert "to_chat" in issue.hint


@pytest.mark.parametrize("kinds", [("completion",), ("chat", "completion"), ()])
def test_a_host_that_takes_them_or_does_not_say_is_none(kinds: tuple[Kind, ...]) -> None:
    assert validate(completions(*PAIRS), [HostKind(host(*kinds))]).issues == ()


@pytest.mark.parametrize(("days", "told"), [(0, 1), (1, 0)])
def test_a_model_counts_until_its_last_day(days: int, told: int) -> None:
    closing = host("completion", ends=today() + timedelta(days=days))
    both = closing.model_copy(update={"models": {**closing.models, "other": host("chat").models["m"]}})
    assert len(validate(completions(*PAIRS), [HostKind(both)]).issues) == told


def test_conversations_are_taken_by_all_hosts_of_today() -> None:
    for name in ("openai", "azure", "local"):
        assert validate(CHATS, [HostKind(host_profile(name))]).issues == ()


@given(st.sets(st.sampled_from(["completion", "chat", "preference"])))
def test_what_is_told_is_what_no_model_takes(kinds: set[Kind]) -> None:
    told = validate(completions(*PAIRS), [HostKind(host(*kinds))]).issues
    assert bool(told) is (bool(kinds) and "completion" not in kinds)
