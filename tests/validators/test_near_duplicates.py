"""Examples that are nearly the same are told, exact repeats and like questions are not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit.errors import ParameterError
from finetune_kit.near import NEAR_ROWS
from finetune_kit.validators import DEFAULT, Duplicates, NearDuplicates, validate
from tests.rows_of import completions, many

LONG = "I ordered a pair of shoes a week ago and the parcel has still not come to my door"


def test_a_row_that_differs_by_a_word_is_a_warning_that_names_the_other() -> None:
    rows = completions((LONG, "track"), ("hello", "greet"), (LONG + ", sorry!", " TRACK"))
    [issue] = validate(rows, [NearDuplicates()]).warnings
    assert (issue.code, issue.row, issue.related) == ("near_duplicate", 2, 0)


def test_the_closest_of_several_is_named() -> None:
    rows = completions((LONG, "a"), (LONG + " so far, alas", "a"), (LONG + " so far", "a"))
    assert [(issue.row, issue.related) for issue in validate(rows, [NearDuplicates()]).issues] == [(1, 0), (2, 1)]


def test_another_answer_and_another_question_are_no_near_duplicates() -> None:
    rows = completions((LONG, "track"), (LONG + " sorry", "refund"), ("My parcel has not come", "track"))
    assert not validate(rows, [NearDuplicates()]).issues


def test_exact_repeats_are_left_to_their_own_rule() -> None:
    rows = completions((LONG + "!", "a"), (LONG, "a"), (LONG, "a"))
    issues = validate(rows, [Duplicates(), NearDuplicates()]).issues
    assert sorted((issue.code, issue.row) for issue in issues) == [("duplicate", 2), ("near_duplicate", 1)]


@given(st.lists(st.text("ab .,包", max_size=12), max_size=15))
@settings(deadline=None)
def test_no_row_is_told_twice_and_each_after_the_one_it_resembles(texts: list[str]) -> None:
    issues = validate(completions(*((text, "a") for text in texts)), [NearDuplicates()]).issues
    rows = [issue.row for issue in issues if issue.row is not None]
    assert len(rows) == len(set(rows)) == len(issues)
    assert all(issue.related is not None and issue.row is not None and issue.related < issue.row for issue in issues)


def test_a_large_set_is_searched_only_by_name() -> None:
    rows = completions(
        *((f"{LONG}{'!' * number}", "a") for number in range(2)), *((str(n), "b") for n in range(NEAR_ROWS))
    )
    by_default = [issue for issue in validate(rows, DEFAULT).issues if issue.code.startswith("near_")]
    assert [(issue.severity, issue.row) for issue in by_default] == [("info", None)]
    assert "validate([NearDuplicates(), NearContradictions()])" in by_default[0].hint
    assert [issue.row for issue in validate(rows, [NearDuplicates()]).issues] == [1]


def test_a_small_set_is_searched_by_default() -> None:
    assert not [issue for issue in validate(many(200), DEFAULT).issues if issue.code.startswith("near_")]
    rows = completions((LONG, "a"), (LONG.upper(), "A"))
    assert "near_duplicate" in {issue.code for issue in validate(rows, DEFAULT).issues}


def test_a_threshold_out_of_range_is_told_as_a_fault_of_the_rule() -> None:
    with pytest.raises(ParameterError, match=r"threshold=0\.2"):
        NearDuplicates(threshold=0.2).start()
    [issue] = validate(many(3), [NearDuplicates(threshold=0.2)]).errors
    assert issue.code == "validator_failed"
