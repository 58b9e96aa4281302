"""Equal examples are found wherever they stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import CompletionExample
from finetune_kit.validators import Duplicates, validate
from tests.rows_of import completions, rows_of


def test_a_repeated_example_names_the_row_it_repeats() -> None:
    pairs = [(f"question {number}", "answer") for number in range(600)]
    report = validate(completions(*pairs, pairs[1], pairs[1]), [Duplicates()])
    assert [(issue.row, issue.related) for issue in report.warnings] == [(600, 1), (601, 1)]
    assert str(report.warnings[0].related_origin) == "support.csv row 3"


def test_a_repeated_prompt_alone_is_no_duplicate() -> None:
    assert not validate(completions(("a", "b"), ("a", "c"), ("a ", "b"), ("A", "b")), [Duplicates()]).issues


def test_metadata_does_not_make_an_example_another() -> None:
    rows = rows_of([CompletionExample("a", "b", {"customer": 1}), CompletionExample("a", "b", {"customer": 2})])
    assert validate(rows, [Duplicates()]).counts == {"duplicate": 1}


@given(st.lists(st.sampled_from("abcdef"), max_size=40))
def test_there_is_one_warning_for_each_row_beyond_the_distinct_ones(prompts: list[str]) -> None:
    report = validate(completions(*((prompt, "x") for prompt in prompts)), [Duplicates()])
    assert report.counts.get("duplicate", 0) == len(prompts) - len(set(prompts))
