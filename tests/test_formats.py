"""Rows become the lines that a host trains on."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.formats import rendered_lines
from finetune_kit.records import CompletionExample
from finetune_kit.templates import PromptTemplate
from tests.rows_of import chats, completions, conversation, rows_of

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def test_prompts_and_completions_are_written_by_the_template() -> None:
    template = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
    [line] = rendered_lines(completions(("你好", "hi")), template)
    assert line.decode() == '{"prompt":"你好 ->","completion":" hi\\n"}'


def test_conversations_are_written_as_they_are() -> None:
    [line] = rendered_lines(chats(conversation(("user", "a"), ("assistant", "b"), more={"weight": 1})), None)
    assert json.loads(line)["messages"][1] == {"role": "assistant", "content": "b", "weight": 1}


def test_without_a_template_a_prompt_is_the_users_and_a_completion_the_assistants() -> None:
    lines = [json.loads(line) for line in rendered_lines(completions(("你好", "hi"), ("", "b")), None)]
    assert lines == [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in (("你好", "hi"), ("", "b"))
    ]


@given(st.lists(st.builds(CompletionExample, TEXT, TEXT), min_size=1, max_size=5))
def test_each_row_is_one_line_that_holds_the_row(examples: list[CompletionExample]) -> None:
    template = PromptTemplate.choose(examples)
    lines = list(rendered_lines(rows_of(examples), template))
    assert all(b"\n" not in line for line in lines)
    rows = [json.loads(line) for line in lines]
    assert [row["prompt"].removesuffix(template.separator) for row in rows] == [one.prompt for one in examples]
    assert [template.parse(row["completion"]) for row in rows] == [one.completion for one in examples]


def test_where_every_message_is_weighed_only_the_answers_are_learned_that_were_before() -> None:
    turns = [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    weighed = conversation(*turns, more={"weight": 0})  # of the last answer
    rows = chats(weighed, conversation(("user", "x"), ("assistant", "y")))
    found = [json.loads(line)["messages"] for line in rendered_lines(rows, None, weights="every")]
    assert [[message["weight"] for message in row] for row in found] == [[0, 0, 1, 0, 0], [0, 1]]
    without = [json.loads(line) for line in rendered_lines(rows, None, weights="none")]
    assert "weight" not in json.dumps(without)


def test_without_weights_nothing_is_written_otherwise_for_any_host() -> None:
    rows = chats(conversation(("user", 'what is a "weight"?'), ("assistant", "b")))
    assert {*rendered_lines(rows, None, weights="every")} == {*rendered_lines(rows, None)}
