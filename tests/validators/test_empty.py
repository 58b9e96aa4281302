"""Empty parts are found, and what only looks empty is left alone."""

from __future__ import annotations

import pytest

from finetune_kit.records import ChatExample
from finetune_kit.validators import EmptyCompletion, EmptyMessage, EmptyPrompt, Severity, validate
from tests.rows_of import chats, completions, conversation


@pytest.mark.parametrize("empty", ["", " ", "\n\t", "\u3000"])
def test_an_empty_completion_is_an_error_with_its_file_and_line(empty: str) -> None:
    report = validate(completions(("a", "b"), ("c", empty)), [EmptyCompletion()])
    [issue] = report.errors
    assert (issue.code, issue.row, str(issue.origin)) == ("empty_completion", 1, "support.csv row 3")


@pytest.mark.parametrize("short", [" yes", ".", "0", "好"])
def test_a_short_completion_is_not_empty(short: str) -> None:
    assert not validate(completions(("a", short)), [EmptyCompletion()]).issues


def test_a_few_empty_prompts_are_a_warning_each() -> None:
    report = validate(completions(("a", "b"), ("", "c"), (" ", "d")), [EmptyPrompt()])
    assert [(issue.severity, issue.row) for issue in report.issues] == [(Severity.WARNING, 1), (Severity.WARNING, 2)]


def test_all_prompts_empty_is_open_ended_generation_and_no_warning() -> None:
    [issue] = validate(completions(("", "b"), ("", "c")), [EmptyPrompt()]).issues
    assert issue.severity is Severity.INFO


def test_no_examples_have_no_empty_prompts() -> None:
    assert not validate(completions(), [EmptyPrompt()]).issues


@pytest.mark.parametrize(
    "example",
    [
        conversation(("user", ""), ("assistant", "x")),
        conversation(("user", "x"), ("assistant", " \n")),
        conversation(("user", "x"), ("assistant", None)),
        conversation(("user", "x"), ("assistant", None), more={"tool_calls": []}),
    ],
)
def test_a_message_without_content_is_an_error(example: ChatExample) -> None:
    [issue] = validate(chats(example), [EmptyMessage()]).errors
    assert issue.field in {"messages[0].content", "messages[1].content"}


@pytest.mark.parametrize(
    "example",
    [
        conversation(("user", "x"), ("assistant", None), more={"tool_calls": [{"id": "1"}]}),
        conversation(("user", "x"), ("assistant", None), more={"function_call": {"name": "f"}}),
        conversation(("user", "x"), ("assistant", None), more={"refusal": "No."}),
        conversation(("user", "x"), ("tool", ""), ("assistant", "Nothing was found.")),
    ],
)
def test_calls_refusals_and_empty_tool_results_stand_in_for_text(example: ChatExample) -> None:
    assert not validate(chats(example), [EmptyMessage()]).issues
