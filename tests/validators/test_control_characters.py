"""Control characters are found, line breaks and tabs are none."""

from __future__ import annotations

import pytest
from hypothesis import given

from finetune_kit.records import ChatExample, JsonValue, Message
from finetune_kit.validators import ControlCharacters, validate
from finetune_kit.validators.control_characters import CONTROL
from tests.found_by import found_by, issues_in, texts_with
from tests.rows_of import chats


@pytest.mark.parametrize("number", [*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0)])
def test_each_control_character_is_found_at_its_place(number: int) -> None:
    [issue] = issues_in(ControlCharacters(), "At your\t\r\nneighbour's.", f"At {chr(number)} your neighbour's.")
    assert (issue.row, issue.field, issue.span) == (1, "completion", (3, 4))
    assert issue.message.isprintable()


def test_an_escape_sequence_is_named() -> None:
    [issue] = issues_in(ControlCharacters(), "\x1b[31mred\x1b[0m")
    assert issue.message == "the text holds the control character U+001B (escape)"


@pytest.mark.parametrize("text", [r"\u001b", r"\begin{array}", r"\frac12", "\\\\f", "a\tb\r\nc", "\xa0", "Ä", "€", "£"])
def test_what_only_looks_like_an_escaped_one_is_not_found(text: str) -> None:
    assert not issues_in(ControlCharacters(), text)


def test_arguments_of_tool_calls_are_looked_at() -> None:
    call: JsonValue = {"id": "1", "type": "function", "function": {"name": "say", "arguments": '{"text": "\x00"}'}}
    turns = Message("user", "Say it."), Message("assistant", None, {"tool_calls": [call, None, {"function": 3}]})
    [issue] = validate(chats(ChatExample(turns)), [ControlCharacters()]).issues
    assert issue.field == "messages[1].tool_calls[0].function.arguments"


@given(texts_with("\x00", "\x1b[0m", "\x7f", "\x85", "\x08", "\x0c", "\\u0000", "\\b", "\\", "Â\x80"))
def test_a_text_is_found_if_and_only_if_it_holds_one(text: str) -> None:
    assert found_by(ControlCharacters(), [text, "x"]) == [CONTROL.search(text) is not None, False]
