"""Instructions come first, then user and assistant take turns."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import ChatOrder
from tests.chats_of import ANSWER, USER, chat, found, pair

SYSTEM: dict[str, Any] = {"role": "system", "content": "Be kind."}
CALL: dict[str, Any] = {"role": "assistant", "tool_calls": [{"id": "a"}]}
RESULT: dict[str, Any] = {"role": "tool", "content": "4711", "tool_call_id": "a"}


@pytest.mark.parametrize(
    ("turns", "issue"),
    [
        ([USER, USER, ANSWER], ("warning", "messages[1]", "two messages in a row are by user")),
        ([USER, ANSWER, ANSWER], ("warning", "messages[2]", "two messages in a row are by assistant")),
        ([SYSTEM, SYSTEM, USER, ANSWER], ("warning", "messages[1]", "two messages in a row are by system")),
        ([ANSWER, USER, ANSWER], ("warning", "messages[0]", "the assistant speaks first")),
        ([SYSTEM, ANSWER], ("warning", "messages[1]", "the assistant speaks first")),
        (
            [USER, SYSTEM, ANSWER],
            ("warning", "messages[1]", "a system message stands after the conversation has begun"),
        ),
        (
            [USER, ANSWER, SYSTEM | {"role": "developer"}, USER, ANSWER],
            ("warning", "messages[2]", "a developer message stands after the conversation has begun"),
        ),
    ],
)
def test_an_odd_order_is_a_warning_at_its_first_place(
    turns: list[dict[str, Any]], issue: tuple[str, str | None, str]
) -> None:
    assert found(ChatOrder(), chat(*turns)) == [issue]


@pytest.mark.parametrize(
    "turns",
    [
        [USER, ANSWER],
        [SYSTEM, USER, ANSWER, USER, ANSWER],
        [SYSTEM | {"role": "developer"}, USER, ANSWER],
        [USER, CALL, RESULT, RESULT, ANSWER],
        [USER, CALL, CALL],
        [
            USER,
            {"role": "function", "name": "f", "content": "1"},
            {"role": "function", "name": "g", "content": "2"},
            ANSWER,
        ],
    ],
)
def test_turns_one_after_the_other_and_results_of_tools_are_in_order(turns: list[dict[str, Any]]) -> None:
    assert found(ChatOrder(), chat(*turns)) == []


def test_what_a_preference_pair_asks_is_judged_too() -> None:
    assert found(ChatOrder(), pair(USER, USER)) == [
        ("warning", "input.messages[1]", "two messages in a row are by user")
    ]


@given(st.lists(st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "bot"]), max_size=7))
def test_one_warning_of_a_kind_at_most_and_none_where_merging_changes_nothing(roles: list[str]) -> None:
    issues = found(ChatOrder(), chat(*({"role": role, "content": "x"} for role in roles)))
    kinds = [message.split()[0] for _, _, message in issues]
    assert len(kinds) == len(set(kinds))
    repeats = any(a == b and a in ("system", "developer", "user", "assistant") for a, b in pairwise(roles))
    assert ("two" in kinds) == repeats
