"""A weight is 0 or 1, and something is learnt."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from finetune_kit.validators import MessageWeight
from tests.chats_of import ANSWER, JSON, USER, chat, found


@pytest.mark.parametrize(
    ("weight", "what"),
    [
        (True, "true"),
        (False, "false"),
        (1.0, "a number (1.0)"),
        (0.5, "a number (0.5)"),
        (2, "a number (2)"),
        ("1", "the text '1'"),
        ([1], "a list"),
        ({}, "an object"),
        (10**30, f"a number ({10**30})"),
    ],
)
def test_another_weight_is_an_error_that_says_what_it_is(weight: object, what: str) -> None:
    issues = found(MessageWeight(), chat(USER, ANSWER | {"weight": weight}, USER, ANSWER))
    assert issues == [("error", "messages[1].weight", f"the weight is {what}, neither 0 nor 1")]


@pytest.mark.parametrize("weight", [0, 1, None])
def test_weights_of_0_and_1_and_none_at_all_are_right(weight: object) -> None:
    assert found(MessageWeight(), chat(USER, ANSWER | {"weight": weight}, USER, ANSWER)) == []


def test_a_row_in_which_every_answer_has_weight_1_is_learnt_as_without() -> None:
    assert found(MessageWeight(), chat(USER, ANSWER | {"weight": 1}, USER, ANSWER | {"weight": 1})) == []


def test_a_weight_elsewhere_has_no_effect() -> None:
    assert found(MessageWeight(), chat(USER | {"weight": 0}, ANSWER)) == [
        ("warning", "messages[0].weight", "the weight of a message that is not the assistant's")
    ]


def test_a_row_in_which_nothing_is_learnt_is_an_error() -> None:
    silent = ANSWER | {"weight": 0}
    assert found(MessageWeight(), chat(USER, silent, USER, silent), chat(USER, silent, USER, ANSWER)) == [
        ("error", "messages", "every message by the assistant has weight 0, so nothing is learnt")
    ]


@given(JSON)
def test_any_other_value_is_one_error(weight: Any) -> None:
    issues = found(MessageWeight(), chat(USER, ANSWER | {"weight": weight}, USER, ANSWER))
    right = weight is None or (type(weight) is int and weight in (0, 1))
    assert [severity for severity, _, _ in issues] == ([] if right else ["error"])
