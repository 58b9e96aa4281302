"""The model's own marks do not stand in a message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import ReservedTokens, validate
from tests.chats_of import ANSWER, USER, chat, found, pair, rows
from tests.rows_of import completions


@pytest.mark.parametrize("mark", ["<|endoftext|>", "<|fim_suffix|>", "<|endofprompt|>"])
def test_a_mark_over_which_openai_fails_the_job_is_an_error(mark: str) -> None:
    report = validate(rows(chat(USER, ANSWER | {"content": "Bye." + mark})), [ReservedTokens()])
    (issue,) = report.errors
    assert (issue.field, issue.message) == (
        "messages[1].content",
        f"the text holds the model's own mark '{mark}'",
    )
    assert issue.span == (4, 4 + len(mark))


def test_remains_of_a_template_are_a_warning_also_in_parts_and_pairs() -> None:
    content = [{"type": "text", "text": "Bye.<|im_end|>"}]
    message = "the text holds the model's own mark '<|im_end|>'"
    assert found(ReservedTokens(), chat(USER | {"content": content}, ANSWER)) == [
        ("warning", "messages[0].content", message)
    ]
    assert found(ReservedTokens(), pair(USER, chosen=ANSWER | {"content": content})) == [
        ("warning", "preferred_output[0].content", message)
    ]


def test_other_brackets_and_pairs_of_prompt_and_completion_are_left_alone() -> None:
    assert found(ReservedTokens(), chat(USER | {"content": "x <|> y, <|user|>, <| endoftext |>"}, ANSWER)) == []
    assert validate(completions(("a", "b<|endoftext|>")), [ReservedTokens()]).issues == ()


@given(st.text(), st.text())
def test_a_mark_is_found_wherever_it_stands(before: str, after: str) -> None:
    text = f"{before}<|endoftext|>{after}"
    assert len(found(ReservedTokens(), chat(USER | {"content": text}, ANSWER))) == 1
