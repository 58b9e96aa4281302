"""A speaker's name is one that hosts take."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from finetune_kit.validators import MessageName
from tests.chats_of import ANSWER, JSON, USER, chat, found


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("", "the name is empty"),
        ("Ann Miller", "the name holds white space or one of < | \\ / >"),
        ("<b>", "the name holds white space or one of < | \\ / >"),
        ("张\u3000伟", "the name holds white space or one of < | \\ / >"),
        ("x" * 65, "the name is longer than 64 characters"),
        (5, "the name is a number (5), not text"),
        (["Ann"], "the name is a list, not text"),
    ],
)
def test_a_name_that_hosts_refuse_is_an_error(name: object, what: str) -> None:
    assert found(MessageName(), chat(USER | {"name": name}, ANSWER)) == [("error", "messages[0].name", what)]


@pytest.mark.parametrize("name", ["Ann_Miller", "张伟", "x" * 64, None])
def test_names_of_any_script_are_right(name: object) -> None:
    assert found(MessageName(), chat(USER | {"name": name}, ANSWER)) == []


@given(JSON)
def test_no_name_raises(name: Any) -> None:
    assert {severity for severity, _, _ in found(MessageName(), chat(USER | {"name": name}, ANSWER))} <= {"error"}
