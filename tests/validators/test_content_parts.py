"""Parts of a content are of types that are trained on, where they may stand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from finetune_kit.validators import ContentParts, validate
from tests.chats_of import ANSWER, JSON, USER, chat, found, rows

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
TEXT = {"type": "text", "text": "What is this?"}
REFUSAL = {"type": "refusal", "refusal": "I cannot help with that."}


@pytest.mark.parametrize(
    ("role", "part", "field", "message"),
    [
        ("user", 7, "", "a part is a number (7), not an object"),
        ("user", {}, "", "a part has no type"),
        ("user", {"type": 1}, "", "a part's type is a number (1)"),
        ("user", {"type": "input_audio"}, ".type", "a part of type 'input_audio'"),
        ("user", {"type": "file"}, ".type", "a part of type 'file'"),
        ("user", {"type": "input_text", "text": "x"}, ".type", "'input_text' is not a type of part"),
        ("user", {"type": "text", "text": None}, ".text", "a part of type text holds null, not text"),
        ("user", {"type": "text"}, ".text", "a part of type text has no text"),
        ("user", REFUSAL, ".type", "a refusal that is not the assistant's"),
        ("assistant", {"type": "refusal"}, ".refusal", "a part of type refusal has no refusal"),
        ("assistant", IMAGE, ".type", "an image in a message by the assistant"),
        ("system", IMAGE, ".type", "an image in a message that is not the user's"),
    ],
)
def test_each_fault_is_an_error_at_its_place(role: str, part: Any, field: str, message: str) -> None:
    example = chat({"role": role, "content": [TEXT, part]}, ANSWER)
    assert found(ContentParts(), example) == [("error", f"messages[0].content[1]{field}", message)]


def test_texts_images_of_the_user_and_refusals_of_the_assistant_are_right() -> None:
    assert found(ContentParts(), chat(USER | {"content": [TEXT, IMAGE]}, ANSWER | {"content": [TEXT, REFUSAL]})) == []


def test_parts_in_the_result_of_a_tool_are_a_warning() -> None:
    example = chat(USER, {"role": "tool", "tool_call_id": "a", "content": [TEXT]}, ANSWER)
    assert found(ContentParts(), example) == [
        ("warning", "messages[1].content", "the content of a tool message is a list of parts")
    ]


@pytest.mark.parametrize(
    ("kind", "hint"),
    [("output_text", "Write text, as hosts call it in chat."), ("pdf", "A part is text or image_url.")],
)
def test_the_names_of_other_interfaces_are_translated(kind: str, hint: str) -> None:
    (issue,) = validate(rows(chat(USER | {"content": [TEXT, {"type": kind}]}, ANSWER)), [ContentParts()]).issues
    assert issue.hint == hint


@given(JSON, JSON)
def test_nothing_raises(part: Any, other: Any) -> None:
    content = [part, {"type": other, "text": part}, {"type": "text", "text": other}]
    for role in ("user", "assistant", "tool", "bot"):
        found(ContentParts(), chat({"role": role, "content": content}))
