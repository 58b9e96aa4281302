"""Rows of the common foreign shapes become examples without losing a word, or are refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from finetune_kit.readers import ReadResult, read_records
from finetune_kit.records import ChatExample, CompletionExample, Message, PreferenceExample


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
        ({"conversations": [{"from": "tool", "value": ""}]}, "conversations[0].from is 'tool'"),
        ({"conversations": [{"from": "function_call", "value": ""}]}, "conversations[0].value is not JSON"),
        ({"conversations": [{"from": "function_call", "value": "[1]"}]}, "conversations[0].value is not a call"),
        ({"conversations": [{"from": "function_call"}]}, "conversations[0].value is missing"),
        ({"conversations": [{"from": "observation", "value": None}]}, "conversations[0].value is null"),
        ({**GOOD, "tools": "none"}, "tools is not JSON"),
        ({**GOOD, "tools": '{"name": "track"}'}, "'tools' is not a list of functions"),
        ({**GOOD, "tools": ["track"]}, "'tools' is not a list of functions"),
        ({**GOOD, "system": 4}, "system is a number (4)"),
    ],
)
def test_sharegpt_row_that_would_lose_something_is_refused(row: dict[str, Any], reason: str) -> None:
    refusal = read(GOOD, row).source.refusals[0]
    assert refusal.reason.startswith(reason)
    assert refusal.hint


def test_calls_of_tools_in_sharegpt_are_called_and_answered_by_an_id() -> None:
    call = {"name": "track", "arguments": {"parcel": "包裹"}}
    turns = [
        {"from": "human", "value": "Hi"},
        {"from": "function_call", "value": orjson.dumps(call).decode()},
        {"from": "observation", "value": "4711"},
        {"from": "function_call", "value": orjson.dumps([call, {"name": "find", "arguments": "{}"}]).decode()},
        {"from": "observation", "value": '["here", {"at": 1}]'},
        {"from": "gpt", "value": "There."},
    ]
    track = {"name": "track", "parameters": {"type": "object"}}
    (chat,) = read({"conversations": turns, "tools": orjson.dumps([track]).decode()}).rows
    assert isinstance(chat, ChatExample)

    def called(number: int, name: str, arguments: str) -> dict[str, Any]:
        return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}

    parcel = '{"parcel": "包裹"}'
    assert chat.messages == (
        Message("user", "Hi"),
        Message("assistant", None, {"tool_calls": [called(1, "track", parcel)]}),
        Message("tool", "4711", {"tool_call_id": "call_1"}),
        Message("assistant", None, {"tool_calls": [called(2, "track", parcel), called(3, "find", "{}")]}),
        Message("tool", "here", {"tool_call_id": "call_2"}),
        Message("tool", '{"at": 1}', {"tool_call_id": "call_3"}),
        Message("assistant", "There."),
    )
    assert chat.more == {"tools": [{"type": "function", "function": track}]}


TEXT = {"type": "text", "text": "Hi"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}, "size": 1.0}


@pytest.mark.parametrize("content", [[TEXT], [TEXT, IMAGE], [IMAGE], []])
def test_content_parts_are_kept_as_they_are(content: list[Any]) -> None:
    row = {"messages": [{"role": "user", "content": content, "name": "Ann"}]}
    result = read(row)
    message = Message("user", content, {"name": "Ann"})
    assert list(result.rows) == [ChatExample((message,))]
    assert orjson.loads(result.rows.content_line(0)) == row
    assert message.text == "Hi" * (TEXT in content)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("Hi", "messages[0].content[1] is text"),
        ({"text": "Hi"}, "messages[0].content[1].type is missing; the part has: 'text'"),
        ({"type": 1}, "messages[0].content[1].type is a number (1)"),
        ({"type": "text"}, "messages[0].content[1].text is missing; the part has: 'type'"),
        ({"type": "text", "text": None}, "messages[0].content[1].text is null"),
    ],
)
def test_part_that_is_none_is_refused_with_its_place(part: object, reason: str) -> None:
    rows = [{"messages": [{"role": "user", "content": content}]} for content in ([TEXT], [TEXT, part])]
    assert [refusal.reason for refusal in read(*rows).source.refusals] == [reason]


def test_same_text_in_parts_asks_the_same() -> None:
    answer = {"role": "assistant", "content": "Hello"}
    rows = [{"messages": [{"role": "user", "content": content}, answer]} for content in ("Hi", [TEXT], [TEXT, IMAGE])]
    keys = read(*rows).rows.row_keys()
    assert keys[0] == keys[1] != keys[2]


ASKED = [{"role": "system", "content": "Be kind"}, {"role": "user", "content": "Hi"}]
GOOD_ANSWER, BAD_ANSWER = {"role": "assistant", "content": "Hello!"}, {"role": "assistant", "content": "What?"}
PAIR = PreferenceExample(
    (Message("system", "Be kind"), Message("user", "Hi")),
    (Message("assistant", "Hello!"),),
    (Message("assistant", "What?"),),
    metadata={"id": 7},
)
ASKS = PreferenceExample((Message("user", "Hi"),), PAIR.preferred, PAIR.non_preferred)


@pytest.mark.parametrize(
    ("row", "columns", "expected"),
    [
        (
            {
                "input": {"messages": ASKED},
                "preferred_output": [GOOD_ANSWER],
                "non_preferred_output": [BAD_ANSWER],
                "id": 7,
            },
            ("input", "preferred_output", "non_preferred_output"),
            PAIR,
        ),
        (
            {
                "input": {"messages": ASKED},
                "preferred_completion": [GOOD_ANSWER],
                "non_preferred_completion": [BAD_ANSWER],
                "id": 7,
            },
            ("input", "preferred_completion", "non_preferred_completion"),
            PAIR,
        ),
        ({"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}, ("prompt", "chosen", "rejected"), ASKS),
        ({"question": "Hi", "chosen": "Hello!", "rejected": "What?"}, ("question", "chosen", "rejected"), ASKS),
        (
            {"prompt": ASKED, "chosen": [GOOD_ANSWER], "rejected": [BAD_ANSWER], "id": 7},
            ("prompt", "chosen", "rejected"),
            PAIR,
        ),
        (
            {"prompt": "Hi", "chosen": [*ASKED, GOOD_ANSWER], "rejected": [*ASKED, BAD_ANSWER], "id": 7},
            ("chosen", "chosen", "rejected"),
            PAIR,
        ),
        (
            {
                "conversations": [{"from": "human", "value": "Hi"}],
                "system": "Be kind",
                "chosen": {"from": "gpt", "value": "Hello!"},
                "rejected": {"from": "gpt", "value": "What?"},
                "id": 7,
            },
            ("conversations", "chosen", "rejected"),
            PAIR,
        ),
        (
            {"messages": ASKED, "chosen": GOOD_ANSWER, "rejected": BAD_ANSWER, "id": 7},
            ("messages", "chosen", "rejected"),
            PAIR,
        ),
        (
            {"instruction": "Add", "input": "1 + 1", "chosen": "2", "rejected": "3"},
            ("instruction", "chosen", "rejected"),
            PreferenceExample(
                (Message("user", "Add\n1 + 1"),), (Message("assistant", "2"),), (Message("assistant", "3"),)
            ),
        ),
    ],
)
def test_preference_pairs_of_every_kind_become_the_same(
    row: dict[str, Any], columns: tuple[str, str, str], expected: PreferenceExample
) -> None:
    result = read(row)
    assert list(result.rows) == [expected]
    assert tuple(result.source.columns.values()) == columns
    assert bool(result.source.notes) == (columns[1] == "chosen")


def test_tools_of_a_preference_pair_are_kept() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    row = {
        "input": {"messages": ASKED, "tools": tools, "parallel_tool_calls": True},
        "preferred_output": [GOOD_ANSWER],
        "non_preferred_output": [BAD_ANSWER],
    }
    assert orjson.loads(read(row).rows.content_line(0)) == row


HOST_PAIR = {"input": {"messages": ASKED}, "preferred_output": [GOOD_ANSWER], "non_preferred_output": [BAD_ANSWER]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**HOST_PAIR, "input": "Hi"}, "input is text"),
        ({**HOST_PAIR, "input": {}}, "input.messages is missing; the input has: none"),
        ({**HOST_PAIR, "input": {"messages": ASKED, "seed": 1}}, "input.seed is unknown to hosts"),
        ({"input": {}, "preferred_output": []}, "non_preferred_output is missing; the row has: 'input'"),
        ({**HOST_PAIR, "preferred_output": ["Hi"]}, "preferred_output[0] is text"),
        ({"chosen": "a", "rejected": "b"}, "the prompt is missing; the row has: 'chosen', 'rejected'"),
        ({"prompt": 4, "chosen": "a", "rejected": "b"}, "prompt is a number (4)"),
        ({"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": ""}, "'chosen' and 'rejected' are dialogues"),
        (
            {"chosen": [ASKED[1], GOOD_ANSWER], "rejected": [ASKED[0], BAD_ANSWER]},
            "'chosen' and 'rejected' have no question in common",
        ),
        (
            {"prompt": "Bye", "chosen": [*ASKED, GOOD_ANSWER], "rejected": [*ASKED, BAD_ANSWER]},
            "'prompt' is not among the messages",
        ),
        ({"instruction": "a", "chosen": "b", "rejected": "c", "system": "d"}, "'system' holds text"),
        ({"instruction": "a", "input": "", "chosen": "b", "rejected": "c", "history": ["d"]}, "'history' holds text"),
    ],
)
def test_preference_pair_that_would_lose_something_is_refused(row: dict[str, Any], reason: str) -> None:
    refusals = read(HOST_PAIR, row).source.refusals
    assert [refusal.reason[: len(reason)] for refusal in refusals] == [reason]
    assert all(refusal.hint for refusal in refusals)


def test_named_columns_are_not_taken_for_a_preference_pair() -> None:
    rows = [{"prompt": "Hi", "chosen": "Hello!", "rejected": "What?"}]
    result = read_records(rows, prompt="prompt", completion="chosen")
    assert list(result.rows) == [CompletionExample("Hi", "Hello!", {"rejected": "What?"})]
