"""One prompt with two answers is found."""

from __future__ import annotations

from finetune_kit.validators import Contradictions, validate
from tests.rows_of import chats, completions, conversation


def test_another_completion_for_the_same_prompt_is_a_warning() -> None:
    report = validate(completions(("hours?", "9 to 5"), ("where?", "here"), ("hours? ", "10 to 6")), [Contradictions()])
    [issue] = report.warnings
    assert (issue.row, issue.related) == (2, 0)


def test_equal_examples_and_equal_completions_do_not_contradict() -> None:
    rows = completions(("hours?", "9 to 5"), ("hours?", " 9 to 5"), ("opening?", "9 to 5"), ("", "a"), ("", "b"))
    assert not validate(rows, [Contradictions()]).issues


def test_chats_are_left_to_other_rules() -> None:
    turns = [conversation(("user", "hi"), ("assistant", answer)) for answer in ("hello", "good day")]
    assert not validate(chats(*turns), [Contradictions()]).issues
