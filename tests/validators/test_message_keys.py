"""Keys that hosts do not know are told of once, however often they occur."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import MessageKeys, validate
from finetune_kit.validators.message_keys import KNOWN_KEYS
from tests.chats_of import ANSWER, JSON, USER, chat, found, rows


def test_an_unknown_key_is_one_note_with_a_count() -> None:
    odd = chat(USER | {"loss_weight": 0.0}, ANSWER | {"loss_weight": 1.0})
    issues = validate(rows(chat(USER, ANSWER), *[odd] * 300), [MessageKeys()]).issues
    assert [(str(issue.severity), issue.row, issue.field, issue.message) for issue in issues] == [
        ("info", 1, "messages[0].loss_weight", "the key 'loss_weight' is unknown to hosts, in 600 messages")
    ]
    assert issues[0].hint == "Hosts call it weight, and it is 0 or 1."


def test_a_key_without_a_value_is_one_warning() -> None:
    assert found(MessageKeys(), chat(USER, ANSWER | {"tool_calls": None}), chat(USER, ANSWER | {"tool_calls": []})) == [
        ("warning", "messages[1].tool_calls", "'tool_calls' is null or empty in 2 messages")
    ]


def test_the_keys_that_hosts_define_are_known() -> None:
    known = {"name": "n", "weight": 1, "tool_calls": [{}], "function_call": {}, "refusal": "no", "tool_call_id": "a"}
    assert found(MessageKeys(), chat(USER, ANSWER | known)) == []


def test_a_new_key_in_every_message_does_not_fill_the_memory() -> None:
    examples = [chat(USER | {f"key{number}": 1}, ANSWER) for number in range(1000)]
    assert len(found(MessageKeys(), *examples)) == 50


@given(st.dictionaries(st.text(), JSON))
def test_any_keys_are_taken(more: dict[str, Any]) -> None:
    more = {key: value for key, value in more.items() if key not in ("role", "content", *KNOWN_KEYS)}
    issues = found(MessageKeys(), chat(USER | more, ANSWER))
    assert len(issues) == len(more)
