"""LLaMA-Factory's own messages become those of hosts without losing a word or a weight, or are refused."""

from __future__ import annotations

from typing import Any

import pytest

from finetune_kit.readers import read_jsonl, read_records
from finetune_kit.records import ChatExample, JsonValue, Message, PreferenceExample
from tests.readers.test_real_files import DATA, NEEDS_DATA

DEMOS = DATA / "03-openai-finetune" / "llama-factory-demos"


def turn(role: str, *texts: str, **more: object) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "value": text} for text in texts], **more}


def part(kind: str, value: object) -> dict[str, Any]:
    return {"type": kind, "value": value}


def test_value_of_a_part_is_its_text() -> None:
    rows = [{"messages": [turn("user", "Hi", loss_weight=0.0), turn("assistant", "Hello", loss_weight=1.0)], "id": 7}]
    result = read_records(rows)
    assert list(result.rows) == [ChatExample((Message("user", "Hi"), Message("assistant", "Hello")), {}, {"id": 7})]
    assert result.source.notes[0].startswith("The messages are written as LLaMA-Factory does")


def test_turn_that_does_not_count_has_weight_0() -> None:
    turns = [turn("user", "Hi"), turn("assistant", "No", loss_weight=0.0), turn("user", "?"), turn("assistant", "Yes")]
    [example] = read_records([{"messages": turns}]).rows
    assert isinstance(example, ChatExample)
    assert [dict(message.more) for message in example.messages] == [{}, {"weight": 0}, {}, {}]


def test_several_texts_and_images_stay_parts() -> None:
    asked = {"role": "user", "content": [part("text", "What"), part("image_url", "https://x.org/a.png")]}
    [example] = read_records([{"messages": [asked, turn("assistant", "A ", "cat")]}]).rows
    assert isinstance(example, ChatExample)
    assert [message.content for message in example.messages] == [
        [{"type": "text", "text": "What"}, {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}],
        [{"type": "text", "text": "A "}, {"type": "text", "text": "cat"}],
    ]


def test_calls_of_tools_are_called_and_answered_by_an_id() -> None:
    call = part("tool_call", '{"name": "track", "arguments": {"id": 7}}')
    turns = [
        turn("user", "Where is it?"),
        {"role": "assistant", "content": [part("text", "I look."), call], "loss_weight": 1.0},
        turn("tool", "Ghent", loss_weight=0.0),
        turn("assistant", "In Ghent."),
    ]
    row = {"messages": turns, "tools": '[{"name": "track"}]', "parallel_tool_calls": False}
    [example] = read_records([row]).rows
    function: JsonValue = {"name": "track", "arguments": '{"id": 7}'}
    assert example == ChatExample(
        (
            Message("user", "Where is it?"),
            Message(
                "assistant", "I look.", {"tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
            ),
            Message("tool", "Ghent", {"tool_call_id": "call_1"}),
            Message("assistant", "In Ghent."),
        ),
        {"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "track"}}]},
    )


def test_pair_of_conversations_parts_at_the_answer() -> None:
    asked = [turn("system", "Be kind", loss_weight=0.0), turn("user", "Hi", loss_weight=0.0)]
    row = {
        "chosen_messages": [*asked, turn("assistant", "Hello", loss_weight=1.0)],
        "rejected_messages": [*asked, turn("assistant", "Go", loss_weight=1.0)],
        "id": 7,
    }
    result = read_records([row])
    assert list(result.rows) == [
        PreferenceExample(
            (Message("system", "Be kind"), Message("user", "Hi")),
            (Message("assistant", "Hello"),),
            (Message("assistant", "Go"),),
            {},
            {"id": 7},
        )
    ]
    assert result.source.columns["non_preferred_output"] == "rejected_messages"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            turn("assistant", "a", loss_weight=0.5),
            "messages[1].loss_weight is a number (0.5) on a turn of role 'assistant'",
        ),
        (turn("assistant", "a", loss_weight=True), "messages[1].loss_weight is true on a turn of role 'assistant'"),
        (turn("user", "a", loss_weight=1.0), "messages[1].loss_weight is a number (1.0) on a turn of role 'user'"),
        (
            {"role": "assistant", "content": [part("reasoning", "Hm")]},
            "messages[1].content[0] is a part of type 'reasoning', unknown to hosts",
        ),
        ({"role": "assistant", "content": [part("text", 3)]}, "messages[1].content[0].value is a number (3)"),
        ({"role": "assistant", "content": [part("tool_call", "{")]}, "messages[1].value is not JSON"),
        ({"role": "assistant", "content": [part("text", "a"), "b"]}, "messages[1].content[1] is text"),
    ],
)
def test_row_that_would_lose_something_is_refused(answer: dict[str, Any], reason: str) -> None:
    good = {"messages": [turn("user", "q"), turn("assistant", "a")]}
    result = read_records([good, {"messages": [turn("user", "q"), answer]}])
    assert [refusal.reason for refusal in result.source.refusals] == [reason]


@pytest.mark.parametrize("turns", ["messages", "conversations"])
def test_reason_stays_short_however_long_the_word_is(turns: str) -> None:
    long = "x" * 100_000
    bad = {"role": "user", "content": [part("text", "q"), part(long, "v")], "from": long, "value": "v"}
    good = {"role": "user", "content": "q", "from": "human", "value": "q"}
    [refusal] = read_records([{turns: [good]}, {turns: [bad]}]).source.refusals
    assert len(refusal.reason) < 200


def test_answer_of_a_pair_that_does_not_count_is_refused() -> None:
    good = {side: [turn("user", "q"), turn("assistant", side)] for side in ("chosen_messages", "rejected_messages")}
    bad = {**good, "rejected_messages": [turn("user", "q"), turn("assistant", "a", loss_weight=0.0)]}
    [refusal] = read_records([good, bad]).source.refusals
    assert refusal.reason == "rejected_messages[1].loss_weight is a number (0.0) on a turn of role 'assistant'"


@NEEDS_DATA
@pytest.mark.parametrize(("name", "rows"), [("v1_sft_demo_150.jsonl", 150), ("v1_dpo_demo.jsonl", 10)])
def test_files_of_the_project_itself_are_read(name: str, rows: int) -> None:
    source = read_jsonl(DEMOS / name).source
    assert (source.rows_read, source.rows_refused) == (rows, 0)
