"""Nearly one prompt with two labels is told, where there are labels."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit.near import NEAR_ROWS
from finetune_kit.validators import Contradictions, NearContradictions, validate
from tests.rows_of import PAIRS, chats, completions, conversation, many

LONG = "I ordered a pair of shoes a week ago and the parcel has still not come to my door"


def test_near_same_prompts_with_two_labels_are_a_warning() -> None:
    [issue] = validate(
        completions(*PAIRS, (LONG, "track"), (LONG + ", so sad", "refund")), [NearContradictions()]
    ).warnings
    assert (issue.code, issue.row, issue.related, issue.field) == ("near_contradiction", 21, 20, "completion")


def test_a_label_between_those_of_its_own_is_found() -> None:
    crowd = [(f"{LONG}, {number}", "track") for number in range(12)]
    rows = completions(*crowd, *PAIRS, (LONG, "refund"))
    assert [issue.row for issue in validate(rows, [NearContradictions()]).issues] == [32]


def test_one_label_and_free_text_do_not_contradict() -> None:
    same = completions(*PAIRS, (LONG, "track"), (LONG + ", so sad", " Track"))
    free = completions((LONG, "It is on its way."), (LONG + ", so sad", "I am sorry."), ("hello", "Good day."))
    for rows in (same, free, many(30)):
        assert not validate(rows, [NearContradictions()]).issues


def test_the_same_prompt_is_left_to_its_own_rule() -> None:
    rows = completions(*PAIRS, (LONG, "track"), (LONG + " ", "refund"), (LONG.upper(), "refund"))
    issues = validate(rows, [Contradictions(), NearContradictions()]).issues
    assert [(issue.code, issue.row) for issue in issues] == [("contradiction", 21), ("near_contradiction", 22)]


def test_labels_are_the_last_message_of_a_conversation() -> None:
    asked = [(f"question {number}", f"label {number % 2}") for number in range(8)]
    labelled = [*asked, (LONG, "label 0"), (LONG + " !!", "label 1")]
    rows = chats(*(conversation(("user", text), ("assistant", label)) for text, label in labelled))
    assert [(issue.row, issue.related) for issue in validate(rows, [NearContradictions()]).issues] == [(9, 8)]


def test_a_large_set_is_searched_only_by_name() -> None:
    pairs = [(LONG, "a"), (LONG + ", so sad", "b"), *((str(number), "ab"[number % 2]) for number in range(NEAR_ROWS))]
    assert not validate(completions(*pairs), [NearContradictions(small_sets_only=True)]).issues
    assert [issue.row for issue in validate(completions(*pairs), [NearContradictions()]).issues] == [1]


@given(st.lists(st.tuples(st.text("ab .包", max_size=9), st.sampled_from(["yes", "Yes ", "no"])), max_size=20))
@settings(deadline=None)
def test_only_rows_of_two_labels_are_told(pairs: list[tuple[str, str]]) -> None:
    for issue in validate(completions(*pairs), [NearContradictions()]).issues:
        assert issue.row is not None
        assert issue.related is not None
        assert issue.related < issue.row
        assert pairs[issue.row][1].strip().casefold() != pairs[issue.related][1].strip().casefold()
