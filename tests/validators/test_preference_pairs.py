"""A preference pair has a question and two different answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from finetune_kit.records import JsonValue, Message, PreferenceExample
from finetune_kit.rows import Rows, RowsBuilder
from finetune_kit.validators import DEFAULT, EmptyMessage, PreferencePairs, validate
from tests.chats_of import JSON

GOOD = PreferenceExample(
    (Message("user", "Hi"),), (Message("assistant", "Hello!"),), (Message("assistant", "What?"),), {"tools": []}
)


def rows(*examples: PreferenceExample) -> Rows:
    builder = RowsBuilder("preference")
    for line, example in enumerate(examples, 1):
        builder.add(example, line=line)
    return builder.build()


def test_sound_pairs_have_no_errors() -> None:
    assert validate(rows(*[GOOD] * 10), DEFAULT).ok


@pytest.mark.parametrize(
    ("example", "issues"),
    [
        (replace(GOOD, messages=()), [("input.messages", "nothing is asked")]),
        (replace(GOOD, messages=(Message("human", "Hi"),)), [("input.messages[0].role", "'human' is not a role")]),
        (
            replace(GOOD, messages=(Message("user", "Hi"), Message("assistant", "Hello"))),
            [("input.messages[1].role", "the assistant has answered already")],
        ),
        (
            replace(GOOD, messages=(Message("user", [{"type": "image_url"}]),)),
            [("input.messages[0].content", "an image in a preference pair")],
        ),
        (replace(GOOD, preferred=()), [("preferred_output", "the answer has 0 messages, not one")]),
        (
            replace(GOOD, preferred=(*GOOD.preferred, *GOOD.preferred)),
            [("preferred_output", "the answer has 2 messages, not one")],
        ),
        (
            replace(GOOD, non_preferred=(Message("user", "x"),)),
            [("non_preferred_output[0].role", "the answer is by 'user', not by the assistant")],
        ),
        (
            replace(GOOD, non_preferred=(Message("assistant", [{"type": "text", "text": " Hello!"}]),)),
            [("non_preferred_output", "both answers are the same, so there is nothing to prefer")],
        ),
    ],
)
def test_every_fault_is_an_error_at_its_place(example: PreferenceExample, issues: list[tuple[str, str]]) -> None:
    found = validate(rows(example), [PreferencePairs()]).errors
    assert [(issue.field, issue.message) for issue in found] == issues


def test_empty_answer_is_an_error_at_its_place() -> None:
    example = replace(GOOD, non_preferred=(Message("assistant", [{"type": "text", "text": " "}]),))
    assert [issue.field for issue in validate(rows(example), [EmptyMessage()]).errors] == [
        "non_preferred_output[0].content"
    ]


def test_instructions_alone_are_a_warning() -> None:
    report = validate(rows(replace(GOOD, messages=(Message("system", "Say hello"),))), [PreferencePairs()])
    assert [issue.message for issue in report.warnings] == ["there are only instructions, no question"]
    assert report.ok


@given(JSON, JSON)
def test_nothing_raises_and_an_answer_is_never_better_than_itself(content: Any, more: Any) -> None:
    parts: list[JsonValue] = [content, {"type": "text", "text": "x"}]
    answer = (Message("assistant", parts, {"tool_calls": more}),)
    asked = (Message("user", parts, {"name": more}),)
    pair = replace(GOOD, messages=asked, preferred=answer, non_preferred=answer, more={"tools": more})
    messages = [issue.message for issue in validate(rows(pair), [PreferencePairs()]).errors]
    assert "both answers are the same, so there is nothing to prefer" in messages
    assert "validator_failed" not in validate(rows(pair), DEFAULT).counts
