"""What a set looks like is judged as the founding tool did, and said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.rows import Rows
from finetune_kit.validators import IdenticalPrompts, Severity, TaskType, validate
from tests.rows_of import PAIRS, chats, completions, conversation, many

RULES = (TaskType(), IdenticalPrompts())


def told(rows: Rows) -> list[str]:
    return [issue.message for issue in validate(rows, RULES).issues]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (completions(*PAIRS), "this looks like classification: 20 rows have 2 completions between them"),
        (many(20), "this looks like conditional generation: most completions occur once"),
        (completions(("", "a"), (" ", "b")), "this looks like open-ended generation: there are no prompts"),
        (
            completions(*((f"q{number}", str(number % 11)) for number in range(30))),
            "this looks like conditional generation: most completions occur once",
        ),
        (
            completions(*((f"q{number}", str(number % 10)) for number in range(30))),
            "this looks like classification: 30 rows have 10 completions between them",
        ),
    ],
)
def test_the_kind_of_task_is_a_note(rows: Rows, message: str) -> None:
    [issue] = validate(rows, RULES).issues
    assert (issue.message, issue.severity) == (message, Severity.INFO)


def test_conversations_and_empty_sets_are_not_judged() -> None:
    assert told(chats(conversation(("user", "Hello"), ("assistant", "Hi")))) == []
    assert told(completions()) == []


def test_one_prompt_in_every_row_is_a_warning() -> None:
    rows = completions(("Write a review", "Good."), ("write a  review", "Bad."), ("Write a review", "So."))
    assert [(issue.code, issue.row) for issue in validate(rows, RULES).warnings] == [("identical_prompts", None)]
    turns = [conversation(("user", "Name a bird"), ("assistant", bird)) for bird in ("Robin", "Wren")]
    assert validate(chats(*turns), RULES).counts == {"identical_prompts": 1}


def test_another_prompt_and_one_row_alone_are_none() -> None:
    assert not validate(completions(("a", "x"), ("b", "x"), ("a", "x")), RULES).warnings
    assert not validate(completions(("a", "x")), RULES).warnings


@given(st.lists(st.sampled_from(["", "a", "A ", "b"]), min_size=2, max_size=6))
def test_prompts_are_identical_where_nothing_but_case_and_space_differs(prompts: list[str]) -> None:
    plain = {prompt.strip().lower() for prompt in prompts}
    rows = completions(*((prompt, str(row)) for row, prompt in enumerate(prompts)))
    assert bool(validate(rows, [IdenticalPrompts()]).issues) is (plain in ({"a"}, {"b"}))
