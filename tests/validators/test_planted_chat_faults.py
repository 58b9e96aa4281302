"""Faults of every kind, planted among sound conversations, are found by the default rules, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given

from finetune_kit import Dataset
from finetune_kit.records import ChatExample
from finetune_kit.validators import DEFAULT, Severity, validate
from tests.chats_of import JSON, TOOL, chat, pair, rows


def asked(number: int) -> dict[str, Any]:
    return {"role": "user", "content": f"Where is parcel {number}?"}


def told(number: int) -> dict[str, Any]:
    return {"role": "assistant", "content": f"Parcel {number} waits at house {number % 90} of your street."}


def made(number: int, **function: Any) -> dict[str, Any]:
    call = {"name": "track", "arguments": f'{{"parcel": "{number}"}}'} | function
    return {"role": "assistant", "tool_calls": [{"id": f"call_{number}", "type": "function", "function": call}]}


def result(number: int) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": f"call_{number}", "content": "on its way"}


def picture(number: int, url: str = "https://example.org/{}.png") -> dict[str, Any]:
    text = {"type": "text", "text": f"Is this parcel {number}?"}
    return {"role": "user", "content": [text, {"type": "image_url", "image_url": {"url": url.format(number)}}]}


SYSTEM = {"role": "system", "content": "You answer for a post office."}


def sound(number: int) -> ChatExample:
    forms = (
        chat(SYSTEM, asked(number), told(number)),
        chat(asked(number), told(number) | {"weight": 0}, asked(number + 1), told(number + 1) | {"weight": 1}),
        chat(asked(number), made(number), result(number), told(number), tools=[TOOL], parallel_tool_calls=True),
        chat(asked(number), made(number), tools=[TOOL]),
        chat(picture(number), told(number)),
        chat(SYSTEM | {"role": "developer"}, asked(number) | {"name": "Ann"}, told(number)),
    )
    return forms[number // 1000 % len(forms)]


FAULTS: list[tuple[str, ChatExample]] = [
    ("chat_roles", chat(asked(1), told(1), asked(2))),
    ("chat_roles", chat(asked(3) | {"role": "human"}, told(3))),
    ("chat_order", chat(asked(4), SYSTEM, told(4))),
    ("chat_order", chat(asked(5), asked(6), told(5))),
    ("empty_message", chat(asked(7), told(7) | {"content": ""})),
    ("echoed_question", chat(asked(8), asked(8) | {"role": "assistant"})),
    ("message_weight", chat(asked(9), told(9) | {"weight": 0.5})),
    ("message_weight", chat(asked(10), told(10) | {"weight": 0})),
    ("message_name", chat(asked(11) | {"name": "Ann Miller"}, told(11))),
    ("message_keys", chat(asked(12), told(12) | {"loss_weight": 1.0})),
    ("reserved_token", chat(asked(13), told(13) | {"content": "At home.<|endoftext|>"})),
    ("content_part", chat(asked(14) | {"content": [{"type": "input_audio", "input_audio": {}}]}, told(14))),
    ("image_part", chat(picture(15, "file:///tmp/{}.png"), told(15))),
    ("tool_definition", chat(asked(16), made(16), tools=[TOOL, TOOL | {"type": "web_search"}])),
    ("tool_definition", chat(asked(17), told(17), tools=[{"type": "function", "function": {"name": "a b"}}])),
    ("tool_calls", chat(asked(18), made(18, name="find"), tools=[TOOL])),
    ("tool_calls", chat(asked(19), made(19, arguments={"parcel": "19"}), tools=[TOOL])),
    ("tool_calls", chat(asked(20), made(20, arguments="{parcel}"), tools=[TOOL])),
    ("tool_calls", chat(asked(21), made(21), told(21), tools=[TOOL])),
    ("tool_calls", chat(asked(22), result(22), told(22), tools=[TOOL])),
    ("tool_calls", chat(asked(23), made(23))),
]


def test_each_planted_fault_is_found_in_its_row_and_nothing_else_is() -> None:
    examples = [sound(number * 1000 + 500) for number in range(600)]
    places = [10 + number * 25 for number in range(len(FAULTS))]
    for place, (_, example) in zip(places, FAULTS, strict=True):
        examples[place] = example
    found = {(issue.code, issue.row) for issue in validate(rows(*examples), DEFAULT).issues}
    assert found == {(code, place) for place, (code, _) in zip(places, FAULTS, strict=True)}


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def write_and_read(*lines: dict[str, Any] | bytes, start: bytes = b"") -> Dataset:
        path = tmp_path / "chat.jsonl"
        written = [line if isinstance(line, bytes) else orjson.dumps(line) for line in lines]
        path.write_bytes(start + b"\n".join(written) + b"\n")
        return Dataset.from_jsonl(path)

    return write_and_read


def line(*turns: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": list(turns), **more}


def test_what_the_check_of_together_refuses_without_need_has_no_error(read: Any) -> None:
    many = [line(asked(number), told(number)) for number in range(100, 110)]
    right = [
        line(asked(1), told(1), tools=[TOOL]),
        line(SYSTEM | {"role": "developer"}, asked(2), told(2)),
        line(asked(3), made(3) | {"content": None}, tools=[TOOL]),
        b"",
    ]
    assert read(*many, *right, start=b"\xef\xbb\xbf").validate().errors == ()


@pytest.mark.parametrize(
    ("wrong", "severity"),
    [
        (line(asked(1), told(1), asked(1)), Severity.ERROR),
        (line(asked(1), told(1) | {"content": ""}), Severity.ERROR),
        (line(asked(1), made(1, arguments='{"parcel": '), tools=[TOOL]), Severity.ERROR),
        (line(asked(1), told(1) | {"weight": 0}), Severity.ERROR),
        (line(asked(1), SYSTEM, told(1)), Severity.WARNING),
        (line(asked(105), told(105)), Severity.WARNING),
    ],
)
def test_what_the_check_of_together_lets_pass_is_found(wrong: Any, severity: Severity, read: Any) -> None:
    many = [line(asked(number), told(number)) for number in range(100, 260)]
    (issue,) = read(*many, wrong).validate().issues
    assert (issue.severity, issue.row) == (severity, 160)
    assert issue.origin is not None
    assert issue.origin.line == 161


@given(JSON, JSON, JSON)
def test_no_rule_raises_whatever_stands_in_a_row(one: Any, two: Any, three: Any) -> None:
    odd = {"tool_calls": one, "weight": two, "name": three, "tool_call_id": two, "function_call": three}
    call: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [two, {"id": one, "function": three}]}
    turns: list[dict[str, Any]] = [
        *({"role": role, "content": "x", **odd} for role in ("system", "user", "assistant", "tool", "function", "bot")),
        {"role": "user", "content": [one, {"type": "text", "text": two}, {"type": "image_url", "image_url": three}]},
        call,
    ]
    for examples in (
        [
            chat(*turns, tools=two, functions=[three], parallel_tool_calls=one),
            chat(*reversed(turns), tools=[{"type": "function", "function": one}]),
            chat(),
        ],
        [pair(*turns, tools=two, functions=[three], parallel_tool_calls=one), pair(), pair(asked(1), chosen=call)],
    ):
        report = validate(rows(*examples), DEFAULT)
        assert "validator_failed" not in report.counts, report.summary()
        assert report.summary()
