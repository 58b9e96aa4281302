"""Labels: balance, rarity, look-alikes, one class only, and labels that training never has."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.dataset import Dataset, Split
from finetune_kit.rows import Rows
from finetune_kit.validators import (
    Issue,
    LabelBalance,
    LookAlikeLabels,
    OneClass,
    RareLabels,
    Severity,
    check_labels,
    validate,
)
from finetune_kit.validators.label_likeness import plain
from tests.rows_of import PAIRS, chats, completions, conversation

RULES = (LabelBalance(), RareLabels(), LookAlikeLabels(), OneClass())


def labelled(**times: int) -> Rows:
    return rows_with(times)


def rows_with(times: dict[str, int]) -> Rows:
    labels = [label for label, many in times.items() for _ in range(many)]
    return completions(*((f"question {number}", label) for number, label in enumerate(labels)))


def found(rows: Rows, code: str) -> list[Issue]:
    return [issue for issue in validate(rows, RULES).issues if issue.code == code]


def looks(times: dict[str, int]) -> list[tuple[int | None, int | None]]:
    return [(issue.row, issue.related) for issue in found(rows_with(times), "look_alike_label")]


# balance


def test_the_share_of_the_most_frequent_label_is_a_note_with_the_baseline() -> None:
    [issue] = found(labelled(ham=60, spam=40), "label_balance")
    assert (issue.severity, issue.message) == (
        Severity.INFO,
        "the most frequent of 2 labels has 60.0% of the rows",
    )
    assert "right 60.0% of the time" in issue.hint


@pytest.mark.parametrize(("ham", "severity"), [(90, Severity.WARNING), (89, Severity.INFO)])
def test_an_extreme_share_is_a_warning(ham: int, severity: Severity) -> None:
    assert [issue.severity for issue in found(labelled(ham=ham, spam=100 - ham), "label_balance")] == [severity]


def test_free_answers_and_long_ones_have_no_balance() -> None:
    assert found(completions(*((f"q{number}", f"a{number}") for number in range(100))), "label_balance") == []
    assert found(rows_with({"a" * 101: 50, "b": 50}), "label_balance") == []


# rarity


def test_a_label_with_a_single_row_is_named_by_that_row() -> None:
    issues = found(labelled(track=20, refund=20, lost=1), "rare_label")
    assert [(issue.row, issue.message) for issue in issues] == [(40, "the label of this row stands in no other row")]


@pytest.mark.parametrize(("times", "rare"), [(4, 1), (5, 0)])
def test_five_rows_are_enough_to_begin_with(times: int, rare: int) -> None:
    assert len(found(labelled(track=20, refund=times), "rare_label")) == rare


@given(st.lists(st.integers(1, 8), min_size=2, max_size=6))
def test_every_rare_label_is_found_once(sizes: list[int]) -> None:
    rows = rows_with({"main": 30, **{f"label {'x' * number}": size for number, size in enumerate(sizes)}})
    assert len(found(rows, "rare_label")) == sum(size < 5 for size in sizes)


# look-alikes


@pytest.mark.parametrize(
    "other", ["refund ", "Refund", "REFUND.", "ｒｅｆｕｎｄ", " refund\n", "“refund”", "re fund", "re-fund", "re_fund"]
)
def test_one_label_in_two_ways_is_told_with_both(other: str) -> None:
    assert looks({"track": 9, "refund": 9, other: 7}) == [(18, 9)]


def test_the_more_frequent_way_to_write_it_is_the_likely_one() -> None:
    assert looks({"Refund": 7, "refund": 9, "track": 9}) == [(0, 7)]


@pytest.mark.parametrize("typo", ["refnud", "refumd", "rfund", "reefund", "Refunf"])
def test_a_rare_label_one_letter_away_from_a_frequent_one_is_told(typo: str) -> None:
    assert looks({"refund": 40, "track": 20, typo: 2}) == [(60, 0)]
    assert looks({"refund": 40, "track": 20, typo: 3}) == [], "too many to be a slip of the hand"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C", "C++"),
        ("C", "C#"),
        ("1", "-1"),
        ("A1", "A2"),
        ("level 1", "level 2"),
        ("yes", "yet"),
        ("?", "!"),
        ("", " "),
    ],
)
def test_labels_that_differ_in_what_they_mean_are_not(one: str, other: str) -> None:
    assert looks({one: 60, other: 3}) == []


def test_several_ways_are_all_told() -> None:
    assert looks({"refund": 9, "Refund": 8, "refund.": 7, "REFUND": 6}) == [(9, 0), (17, 0), (24, 0)]


@given(st.text(max_size=8))
def test_space_around_a_label_is_no_part_of_it(label: str) -> None:
    assert plain(f" {label}\n") == plain(label) or not label.strip()


# one class


def test_one_answer_to_everything_is_a_warning() -> None:
    assert [issue.message for issue in found(labelled(spam=20), "one_class")] == ["every row has the same answer"]
    assert found(labelled(spam=20, ham=1), "one_class") == []


# conversations


def talk(answers: Iterable[str]) -> Rows:
    return chats(*(conversation(("user", f"q{number}"), ("assistant", text)) for number, text in enumerate(answers)))


def test_the_last_answers_of_conversations_are_labels_too() -> None:
    report = validate(talk(["refund"] * 20 + ["Refund"] * 10 + ["track"]), RULES)
    assert report.counts == {"label_balance": 1, "look_alike_label": 1, "rare_label": 1}
    assert {issue.field for issue in report.issues} == {None, "messages[1].content"}


def test_conversations_that_end_in_texts_or_calls_have_no_labels() -> None:
    assert validate(talk(f"The answer to question {number}" for number in range(30)), RULES).issues == ()
    assert validate(talk(["Dear customer,\n\nthank you"] * 30), RULES).issues == ()
    calls = conversation(("user", "q"), ("assistant", None), more={"tool_calls": [{"id": "1"}]})
    assert validate(chats(*[calls] * 30), RULES).issues == ()


# two sides


def test_a_label_that_training_never_has_is_told_by_its_first_row() -> None:
    held_out = completions(("a", "track"), ("b", "lost"), ("c", "lost"), ("d", "track"), ("e", "track"), ("f", "lost"))
    [issue] = check_labels(completions(*PAIRS), held_out)
    assert (issue.code, issue.row, str(issue.origin)) == ("unseen_label", 1, "support.csv row 3")
    assert list(check_labels(completions(*PAIRS), completions(*PAIRS))) == []


def test_a_small_side_counts_as_much() -> None:
    split = Split(Dataset.from_records(PAIRS), Dataset.from_records([("Where is it?", "trakc")]))
    assert split.validate().counts["unseen_label"] == 1


def test_free_answers_are_never_unseen() -> None:
    free = completions(*((f"q{number}", f"a{number}") for number in range(30)))
    assert list(check_labels(free, completions(("a", "b")))) == []
