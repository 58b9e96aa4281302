"""Rows of the common foreign shapes become examples without losing a word, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_kit.readers import ReadResult, read_records
from finetune_kit.records import ChatExample, CompletionExample, Message


def read(*rows: dict[str, Any]) -> ReadResult:
    return read_records(rows)


def test_alpaca_input_follows_the_instruction() -> None:
    result = read(
        {"instruction": "Greet", "output": "Hi"},
        {"instruction": "Add", "input": "1 + 1", "output": "2"},
        {"instruction": "Name", "input": "", "output": "Ann", "system": "", "history": [], "id": 7},
    )
    assert list(result.rows) == [
        CompletionExample("Greet", "Hi"),
        CompletionExample("Add\n1 + 1", "2"),
        CompletionExample("Name", "Ann", {"system": "", "history": [], "id": 7}),
    ]
    assert "with 'input' on a new line where there is any" in result.source.notes[0]


def test_alpaca_columns_that_are_named_are_taken_as_named() -> None:
    rows = [{"instruction": "Add", "input": "1 + 1", "output": "2"}]
    result = read_records(rows, prompt="instruction", completion="output")
    assert list(result.rows) == [CompletionExample("Add", "2", {"input": "1 + 1"})]


@pytest.mark.parametrize(("key", "value"), [("history", [["q", "a"]]), ("system", "Be kind")])
def test_alpaca_row_with_more_conversation_is_refused(key: str, value: object) -> None:
    result = read({"instruction": "a", "output": "b"}, {"instruction": "a", "output": "b", key: value})
    assert result.source.refusals[0].reason == f"{key!r} holds text that belongs to the conversation"


def test_sharegpt_turns_become_messages() -> None:
    turns = [
        {"from": "system", "value": "Be kind"},
        {"from": "human", "value": "Hi"},
        {"from": "gpt", "value": "Hello", "weight": 0},
    ]
    result = read({"conversations": turns, "id": "7"}, {"conversations": turns[1:], "system": "Be brief", "tools": ""})
    assert list(result.rows) == [
        ChatExample(
            (Message("system", "Be kind"), Message("user", "Hi"), Message("assistant", "Hello", {"weight": 0})),
            metadata={"id": "7"},
        ),
        ChatExample(
            (Message("system", "Be brief"), Message("user", "Hi"), Message("assistant", "Hello", {"weight": 0}))
        ),
    ]
    assert result.source.columns == {"messages": "conversations"}
    assert "'human' was read as user" in result.source.notes[0]


GOOD = {"conversations": [{"from": "human", "value": "Hi"}]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"conversations": "Hi"}, "conversations is text"),
        ({"conversations": ["Hi"]}, "conversations[0] is text"),
        ({"conversations": [{"from": "human"}]}, "conversations[0].value is missing; the turn has: 'from'"),
        ({"conversations": [{"from": "human", "value": 4}]}, "conversations[0].value is a number (4)"),
        ({"conversations": [{"from": "function_call", "value": ""}]}, "conversations[0].from is 'function_call'"),
        ({**GOOD, "tools": "[{}]"}, "'tools' of a sharegpt row cannot be read"),
        ({**GOOD, "system": 4}, "system is a number (4)"),
        ({**GOOD, "chosen": {}, "rejected": {}}, "this is a preference pair"),
    ],
)
def test_sharegpt_row_that_would_lose_something_is_refused(row: dict[str, Any], reason: str) -> None:
    refusal = read(GOOD, row).source.refusals[0]
    assert refusal.reason.startswith(reason)
    assert refusal.hint


def test_content_of_one_text_part_is_its_text() -> None:
    part = {"type": "text", "text": "Hi"}
    image = {"type": "image_url", "image_url": {"url": "x"}}
    result = read(
        *({"messages": [{"role": "user", "content": content}]} for content in ([part], [part, image], [image]))
    )
    assert list(result.rows) == [ChatExample((Message("user", "Hi"),))]
    assert result.source.rows_refused == 2
