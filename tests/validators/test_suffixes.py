"""Separators and stop sequences that some texts have, that are long, or that stand inside a text too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.rows import Rows
from finetune_kit.templates import SEPARATORS
from finetune_kit.validators import CompletionSuffix, PromptSuffix, Severity, validate
from tests.rows_of import completions

TOWNS = ("Oslo", "Rome", "Lima", "Cairo", "Delhi", "Tokyo", "Quito", "Paris", "Accra", "Minsk")


def prompts(ending: str, *others: str) -> Rows:
    return completions(*((f"Hours in {town}?{ending}", town) for town in TOWNS), *((other, "none") for other in others))


def answers(ending: str, *others: str) -> Rows:
    return completions(*((town, f"Open in {town}{ending}") for town in TOWNS), *((other, other) for other in others))


@pytest.mark.parametrize("separator", [*SEPARATORS, "\n\nAnswer:\n", "\n", " =>"])
def test_a_row_without_the_separator_that_the_others_have_is_named(separator: str) -> None:
    report = validate(prompts(separator, "And in Bonn?"), [PromptSuffix()])
    if separator == "\n":  # a line feed behind most prompts may be chance: only behind all of them it is a mark
        assert not report.warnings
    else:
        [issue] = report.warnings
        assert (issue.row, issue.field) == (10, "prompt")
        assert issue.message == f"the prompt does not end with {separator!r}, as most do"


@pytest.mark.parametrize("stop", [" END", "\n", "###", "***", "\n###\n", "<|im_end|>"])
def test_a_row_without_the_stop_sequence_that_the_others_have_is_named(stop: str) -> None:
    report = validate(answers(stop, "Bonn"), [CompletionSuffix()])
    if stop == "<|im_end|>":  # words are only taken for a mark where all have them
        assert not report.warnings
    else:
        assert [issue.row for issue in report.warnings] == [10]


def test_a_few_rows_that_somebody_prepared_are_one_warning() -> None:
    rows = completions(*((f"Hours in {town}?", town) for town in TOWNS * 5), ("Hours in Bonn? ->", "Bonn"))
    [issue] = validate(rows, [PromptSuffix()]).issues
    assert (issue.row, issue.message) == (None, "some prompts end with ' ->', most do not (1 of 51 do)")


@pytest.mark.parametrize("ending", ["?", "!", ".", " please?", "…", "。", ')"', " 5%", "ab"])
def test_what_ends_sentences_anyway_is_no_mark(ending: str) -> None:
    pairs = [(f"Hours in {town}{ending}", f"In {town}{ending}") for town in TOWNS]
    report = validate(completions(*pairs, ("Bonn", "Bonn")), [PromptSuffix(), CompletionSuffix()])
    assert report.issues == ()


def test_a_separator_that_stands_inside_a_prompt_too_is_named() -> None:
    report = validate(prompts(" ->", "From -> to ->"), [PromptSuffix()])
    assert [(issue.row, issue.message, issue.span) for issue in report.warnings] == [
        (10, "' ->' ends the prompts and stands inside this one too", (4, 7))
    ]


def test_a_stop_sequence_that_stands_inside_a_completion_too_is_named() -> None:
    rows = completions(*((town, f"Open in {town}\n") for town in TOWNS), ("Bonn", "Open\nin Bonn\n"))
    assert [issue.row for issue in validate(rows, [CompletionSuffix()]).warnings] == [10]


def test_a_long_separator_is_a_note_and_a_short_one_is_not() -> None:
    [issue] = validate(prompts("\n\nIs it open today? Answer:"), [PromptSuffix()]).issues
    assert issue.severity is Severity.INFO
    assert "27 characters that are always the same" in issue.message
    assert validate(prompts("\n\n###\n\n"), [PromptSuffix()]).issues == ()


def test_a_backslash_and_a_letter_are_no_line_feed() -> None:
    """In JSON both are written alike, but for one more backslash."""
    pairs = [(f"question {number}\n\n###\n\n", "yes" if number % 3 else "no") for number in range(5_000)]
    pairs[4_321] = ("C:\\n\n###\n\n", "no")
    assert [issue.row for issue in validate(completions(*pairs), [PromptSuffix()]).warnings] == [4_321]


def test_rows_beyond_the_sample_are_looked_at_too() -> None:
    pairs = [(f"question {number} ->", "yes" if number % 3 else "no") for number in range(5_000)]
    pairs[4_321] = ("question 4321", "no")
    assert [issue.row for issue in validate(completions(*pairs), [PromptSuffix()]).warnings] == [4_321]


def test_conversations_have_no_separators() -> None:
    assert validate(prompts(" ->")[:0], [PromptSuffix(), CompletionSuffix()]).issues == ()


@given(st.lists(st.booleans(), min_size=20, max_size=60), st.sampled_from(SEPARATORS))
def test_the_rows_of_the_minority_are_found_whichever_it_is(marked: list[bool], separator: str) -> None:
    pairs = [(f"Question {row}?{separator if has else ''}", "yes") for row, has in enumerate(marked)]
    warnings = validate(completions(*pairs), [PromptSuffix()]).warnings
    having = sum(marked)
    if having in {0, len(marked)}:
        assert warnings == ()
    elif having * 2 >= len(marked):
        assert [issue.row for issue in warnings] == [row for row, has in enumerate(marked) if not has]
    else:
        assert f"({having} of {len(marked)} do)" in warnings[0].message
