"""A row's tools are functions with a name and a schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from finetune_kit.validators import ToolDefinitions
from tests.chats_of import ANSWER, JSON, TOOL, USER, chat, found, pair


def tool(**function: Any) -> dict[str, Any]:
    return {"type": "function", "function": function}


@pytest.mark.parametrize(
    ("tools", "issue"),
    [
        ('[{"type": "function"}]', ("error", "tools", "the tools are JSON written as text")),
        ({"track": {}}, ("error", "tools", "the tools are an object, not a list")),
        (["track"], ("error", "tools[0]", "a tool is text, not an object")),
        ([{"type": "web_search"}], ("error", "tools[0].type", "a tool is of type 'web_search'")),
        ([{"function": TOOL["function"]}], ("error", "tools[0].type", "a tool has no type")),
        (
            [{"type": "function", "name": "track"}],
            ("error", "tools[0]", "the function's name stands in the tool itself, not in its function"),
        ),
        (
            [{"type": "function", "function": "track"}],
            ("error", "tools[0].function", "a tool's function is text, not an object"),
        ),
        ([tool(description="x")], ("error", "tools[0].function.name", "a function has no name")),
        ([tool(name=5)], ("error", "tools[0].function.name", "a function is named by a number (5)")),
        (
            [tool(name="get weather")],
            ("error", "tools[0].function.name", "'get weather' cannot be the name of a function"),
        ),
        ([tool(name="查询")], ("error", "tools[0].function.name", "'查询' cannot be the name of a function")),
        ([tool(name="x\n")], ("error", "tools[0].function.name", r"'x\n' cannot be the name of a function")),
        (
            [tool(name="a", description=["x"])],
            ("error", "tools[0].function.description", "a function's description is a list, not text"),
        ),
        (
            [tool(name="a", parameters={"type": "object", "properties": {"n": {"type": "int"}}})],
            ("error", "tools[0].function.parameters.properties.n.type", "'int' is not a type of JSON Schema"),
        ),
        (
            [tool(name="a"), tool(name="a", description="another")],
            ("error", "tools[1].function.name", "two functions have the same name"),
        ),
        ([TOOL, TOOL], ("warning", "tools[1].function.name", "a function is defined twice")),
        ([tool(name=f"f{number}") for number in range(129)], ("error", "tools", "there are more than 128 tools")),
    ],
)
def test_each_fault_is_named_at_its_place(tools: Any, issue: tuple[str, str, str]) -> None:
    assert found(ToolDefinitions(), chat(USER, ANSWER, tools=tools)) == [issue]


@pytest.mark.parametrize(
    "tools",
    [
        [],
        None,
        [TOOL],
        [tool(name="no_arguments"), tool(name="A-1_" + "x" * 60, description="…", strict=True, parameters=None)],
        [tool(name=f"f{number}") for number in range(128)],
    ],
)
def test_sound_tools_have_no_faults(tools: Any) -> None:
    assert found(ToolDefinitions(), chat(USER, ANSWER, tools=tools, parallel_tool_calls=False)) == []


def test_the_older_form_is_judged_alike_and_noted() -> None:
    row = chat(USER, ANSWER, functions=[{"name": "get weather"}, TOOL["function"], 7])
    assert found(ToolDefinitions(), row) == [
        ("error", "functions[0].name", "'get weather' cannot be the name of a function"),
        ("error", "functions[2]", "a function is a number (7), not an object"),
        ("info", "functions", "functions is the older form of tools"),
    ]


@pytest.mark.parametrize(("value", "what"), [("false", "text"), (0, "a number (0)"), ([], "a list")])
def test_parallel_tool_calls_is_a_truth_value(value: object, what: str) -> None:
    assert found(ToolDefinitions(), chat(USER, ANSWER, tools=[TOOL], parallel_tool_calls=value)) == [
        ("error", "parallel_tool_calls", f"parallel_tool_calls is {what}, neither true nor false")
    ]


def test_the_tools_of_a_preference_pair_are_judged_in_its_input() -> None:
    assert found(ToolDefinitions(), pair(USER, tools="track")) == [
        ("error", "input.tools", "the tools are text, not a list")
    ]


def test_two_kinds_of_true_are_not_taken_for_one_another() -> None:
    right, wrong = [tool(name="a", description=None)], [tool(name="a", description=1)]
    issues = found(ToolDefinitions(), *[chat(USER, ANSWER, tools=tools) for tools in (right, wrong, right, wrong)])
    assert len(issues) == 2


@given(JSON, JSON)
def test_nothing_raises(tools: Any, inner: Any) -> None:
    found(ToolDefinitions(), chat(USER, ANSWER, tools=tools, functions=inner, parallel_tool_calls=inner))
    found(ToolDefinitions(), chat(USER, ANSWER, tools=[tools, {"type": inner, "function": tools}], functions=[inner]))
    odd = {"name": tools, "description": inner, "parameters": inner}
    found(ToolDefinitions(), chat(USER, ANSWER, tools=[{"type": "function", "function": odd}], functions=[odd]))
