"""Calls are well formed, known and answered."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from finetune_kit.validators import ToolCalls
from tests.chats_of import ANSWER, JSON, TOOL, USER, chat, found, pair


def call(call_id: str = "a", **changed: Any) -> dict[str, Any]:
    function = {"name": "track", "arguments": '{"parcel": "4711"}'}
    return {"id": call_id, "type": "function", "function": function | changed}


def calls(*made: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(made)}


def result(call_id: str = "a") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "on its way"}


def without(key: str) -> dict[str, Any]:
    return {name: value for name, value in call().items() if name != key}


@pytest.mark.parametrize(
    "turns",
    [
        [USER, calls(call())],
        [USER, calls(call(), call("b"))],
        [USER, calls(call()), result(), ANSWER],
        [USER, calls(call(), call("b")), result("b"), result("a"), ANSWER],
        [USER, calls(call()), result(), calls(call("b")), result("b"), ANSWER],
        [USER, ANSWER | {"tool_calls": None}],
        [USER, ANSWER | {"tool_calls": [], "function_call": None}],
        [USER, calls(call(arguments="{}"))],
        [USER, calls(call(arguments='{"half": "\\ud83d"}'))],
    ],
)
def test_sound_calls_have_no_faults(turns: list[dict[str, Any]]) -> None:
    assert found(ToolCalls(), chat(*turns, tools=[TOOL])) == []


@pytest.mark.parametrize(
    ("made", "field", "message"),
    [
        ("call", "", "a call is text, not an object"),
        (without("id"), ".id", "a call has no id"),
        (call() | {"id": 7}, ".id", "a call's id is a number (7)"),
        (without("type"), ".type", "a call has no type"),
        (call() | {"type": "custom"}, ".type", "a call is of type 'custom'"),
        (without("function"), ".function", "a call's function is null, not an object"),
        (
            {"id": "a", "name": "track", "arguments": "{}"},
            "",
            "the function's name stands in the call itself, not in its function",
        ),
        (call(name=None), ".function.name", "a call names no function"),
        (call(name="find"), ".function.name", "'find' is called, which is not among the row's tools"),
        (call() | {"function": {"name": "track"}}, ".function.arguments", "a call has no arguments"),
        (call(arguments={"parcel": 1}), ".function.arguments", "the arguments are an object, not text"),
        (call(arguments=""), ".function.arguments", "the arguments are empty"),
        (call(arguments="{'parcel': 1}"), ".function.arguments", "the arguments are not valid JSON"),
        (call(arguments='{"x": NaN}'), ".function.arguments", "the arguments are not valid JSON"),
        (call(arguments="[" * 100_000), ".function.arguments", "the arguments are not valid JSON"),
        (call(arguments="[1]"), ".function.arguments", "the arguments are a list as JSON, not an object"),
        (call(arguments='"x"'), ".function.arguments", "the arguments are text as JSON, not an object"),
    ],
)
def test_each_fault_of_a_call_is_an_error_at_its_place(made: Any, field: str, message: str) -> None:
    issues = found(ToolCalls(), chat(USER, calls(made), tools=[TOOL]))
    assert issues == [("error", f"messages[1].tool_calls[0]{field}", message)]


def test_arguments_that_are_encoded_twice_are_a_warning_for_hosts_have_taken_them() -> None:
    twice = r'"{\"parcel\": \"4711\"}"'
    assert found(ToolCalls(), chat(USER, calls(call(arguments=twice)), tools=[TOOL])) == [
        ("warning", "messages[1].tool_calls[0].function.arguments", "the arguments are JSON inside JSON")
    ]


@pytest.mark.parametrize(
    ("turns", "issue"),
    [
        (
            [USER, calls(call()), USER, ANSWER],
            ("error", "messages[1].tool_calls[0].id", "a call is not answered before the next message"),
        ),
        (
            [USER, calls(call(), call("b")), result(), ANSWER],
            ("error", "messages[1].tool_calls[1].id", "a call is not answered before the next message"),
        ),
        (
            [USER, calls(call(), call("b")), result()],
            ("error", "messages[1].tool_calls[1].id", "a call is not answered before the next message"),
        ),
        (
            [USER, result(), ANSWER],
            ("error", "messages[1].tool_call_id", "a tool message answers no call of the message before it"),
        ),
        (
            [USER, calls(call()), result(), ANSWER, result(), ANSWER],
            ("error", "messages[4].tool_call_id", "a tool message answers no call of the message before it"),
        ),
        (
            [USER, calls(call()), result(), result(), ANSWER],
            ("error", "messages[3].tool_call_id", "a call is answered twice"),
        ),
        (
            [USER, calls(call()), result(), {"role": "tool", "content": "x"}, ANSWER],
            ("error", "messages[3].tool_call_id", "a tool message does not say which call it answers"),
        ),
        (
            [USER, calls(call(), call()), result(), ANSWER],
            ("error", "messages[1].tool_calls[1].id", "two calls of one message have the same id"),
        ),
        (
            [USER, calls(call()), result(), calls(call()), result(), ANSWER],
            ("warning", "messages[3].tool_calls[0].id", "a call has the id of an earlier one"),
        ),
        (
            [USER | {"tool_calls": [call()]}, ANSWER],
            ("error", "messages[0].tool_calls", "a message that is not the assistant's makes calls"),
        ),
        (
            [USER, ANSWER | {"tool_calls": "[{}]"}],
            ("error", "messages[1].tool_calls", "the calls are JSON written as text"),
        ),
        (
            [USER, ANSWER | {"tool_calls": {}}],
            ("error", "messages[1].tool_calls", "the calls are an object, not a list"),
        ),
    ],
)
def test_calls_and_answers_belong_together(turns: list[dict[str, Any]], issue: tuple[str, str, str]) -> None:
    assert found(ToolCalls(), chat(*turns, tools=[TOOL])) == [issue]


def test_calls_of_tools_that_no_row_defines_are_one_warning() -> None:
    turns = [USER, calls(call()), result(), calls(call("b"))]
    assert found(ToolCalls(), chat(*turns)) == [("warning", "tools", "tools are called, and the row defines none")]


def test_several_calls_at_once_contradict_parallel_tool_calls_false() -> None:
    assert found(ToolCalls(), chat(USER, calls(call()), tools=[TOOL], parallel_tool_calls=False)) == []
    assert found(ToolCalls(), chat(USER, calls(call(), call("b")), tools=[TOOL], parallel_tool_calls=False)) == [
        (
            "warning",
            "messages[1].tool_calls",
            "there are several calls at once, and parallel_tool_calls is false",
        )
    ]


def test_tools_and_functions_of_a_row_are_all_known() -> None:
    both = chat(USER, calls(call(), call("b", name="find")), tools=[TOOL], functions=[{"name": "find"}])
    assert found(ToolCalls(), both) == []


def test_the_older_form_of_calls_is_judged_alike() -> None:
    function = {"name": "track", "arguments": "{}"}
    made: dict[str, Any] = {"role": "assistant", "function_call": function}
    answer = {"role": "function", "name": "track", "content": "here"}
    functions = [TOOL["function"]]
    assert found(ToolCalls(), chat(USER, made, answer, ANSWER, functions=functions)) == []
    wrong = {"role": "assistant", "function_call": {"name": "find", "arguments": {}}}
    assert found(
        ToolCalls(), chat(USER, answer, wrong, answer, answer | {"name": ""}, ANSWER, functions=functions)
    ) == [
        ("error", "messages[2].function_call.name", "'find' is called, which is not among the row's tools"),
        ("error", "messages[2].function_call.arguments", "the arguments are an object, not text"),
        ("error", "messages[4].name", "a function message does not name its function"),
        ("warning", "messages[1]", "a function message answers no call"),
        ("warning", "messages[3].name", "a function message answers a call of another function"),
    ]


def test_an_answer_of_a_preference_pair_may_be_a_call() -> None:
    assert found(ToolCalls(), pair(USER, chosen=calls(call()), tools=[TOOL])) == []
    assert found(ToolCalls(), pair(USER, calls(call()), USER, chosen=calls(call(name="find")), tools=[TOOL])) == [
        ("error", "input.messages[1].tool_calls[0].id", "a call is not answered before the next message"),
        (
            "error",
            "preferred_output[0].tool_calls[0].function.name",
            "'find' is called, which is not among the row's tools",
        ),
    ]


@given(JSON, JSON, JSON)
def test_nothing_raises(one: Any, two: Any, three: Any) -> None:
    odd = [one, {"id": two, "type": three, "function": one}, call(name=two, arguments=three)]
    turns = [
        USER | {"tool_calls": one},
        {"role": "assistant", "tool_calls": odd, "function_call": two},
        {"role": "tool", "tool_call_id": one},
        {"role": "function", "name": three, "tool_calls": two},
        {"role": "assistant", "tool_calls": three, "function_call": {"name": one, "arguments": two}},
    ]
    found(ToolCalls(), chat(*turns, tools=one, functions=two, parallel_tool_calls=three))
    found(ToolCalls(), chat(*turns, tools=[one, {"function": two}], functions=[three]))
