"""Splits are complete, fair, repeatable and leak nothing."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit._keys import prompt_key
from finetune_kit.errors import SplitError
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.splitters import SplitIndices, Splitter, leak_report
from tests.rows_of import chats, completions, conversation, many, rows_of

EXAMPLES = st.builds(
    CompletionExample,
    prompt=st.sampled_from(["", "a", "A ", "b", "c", "d", "e e", "e  e", "f"]) | st.text(max_size=3),
    completion=st.sampled_from(["yes", "no", "maybe"]) | st.text(max_size=3),
    metadata=st.fixed_dictionaries({}, optional={"customer": st.sampled_from([1, "2", "x", None])}),
)
SPLITTERS = st.builds(
    Splitter,
    fraction=st.floats(0.05, 0.85),
    seed=st.integers(),
    test=st.sampled_from([0.0, 0.1]),
    stratify=st.sampled_from([None, "none", "completion"]),
)


def _sides(split: SplitIndices) -> tuple[Sequence[int], ...]:
    return split.training, split.validation, split.test


def _largest_unit(rows: Rows) -> int:
    return max(Counter(prompt_key(rows[row]) or rows.digest(row) for row in range(len(rows))).values())


def _units(examples: list[CompletionExample]) -> int:
    return len({prompt_key(example) or example.completion for example in examples})


LISTS = st.lists(EXAMPLES, min_size=3, max_size=40).filter(lambda examples: _units(examples) >= 3)


@given(LISTS, SPLITTERS)
def test_every_row_is_on_one_side_and_no_side_is_empty(examples: list[CompletionExample], splitter: Splitter) -> None:
    sides = _sides(splitter.split(rows_of(examples)))
    assert sorted(row for side in sides for row in side) == list(range(len(examples)))
    assert all(len(side) for side in sides[: 3 if splitter.test else 2])
    assert all(list(side) == sorted(side) for side in sides)


@given(LISTS, SPLITTERS)
def test_no_example_and_no_prompt_is_on_two_sides(examples: list[CompletionExample], splitter: Splitter) -> None:
    rows = rows_of(examples)
    training, validation, test = (rows.take(side) for side in _sides(splitter.split(rows)))
    assert leak_report(training, validation).ok
    assert leak_report(training, test).ok
    assert leak_report(validation, test).ok


@given(LISTS, SPLITTERS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_decides_nothing(
    examples: list[CompletionExample], splitter: Splitter, random: Random
) -> None:
    shuffled = random.sample(examples, len(examples))
    assert _digests(rows_of(examples), splitter) == _digests(rows_of(shuffled), splitter)


def _digests(rows: Rows, splitter: Splitter) -> list[list[bytes]]:
    return [sorted(rows.digest(row) for row in side) for side in _sides(splitter.split(rows))]


@given(LISTS, SPLITTERS)
def test_each_cut_is_as_near_as_the_units_allow(examples: list[CompletionExample], splitter: Splitter) -> None:
    rows = rows_of(examples)
    split = splitter.split(rows)
    largest = _largest_unit(rows)
    # A side that would be empty gets a unit, hence up to two units beside the half of one.
    assert abs(len(split.training) - splitter.fraction * len(rows)) <= 2 * largest
    if splitter.test:
        assert abs(len(split.test) - splitter.test * len(rows)) <= 2 * largest


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers())
def test_distinct_examples_are_split_to_the_row(count: int, fraction: float, seed: int) -> None:
    training = len(Splitter(fraction, seed=seed).split(many(count)).training)
    assert abs(training - min(max(fraction * count, 1), count - 1)) <= 0.5 + 1e-9


@pytest.mark.parametrize(("fraction", "training"), [(0.8, 8), (0.7, 7), (0.25, 3), (0.99, 9), (0.01, 1)])
def test_ten_rows_are_split_as_a_person_would(fraction: float, training: int) -> None:
    assert len(Splitter(fraction).split(many(10)).training) == training


@given(st.lists(st.tuples(st.sampled_from("abcdefghi"), st.text("xyz", max_size=2)), min_size=6, max_size=40))
@settings(deadline=None)
def test_groups_stay_whole_and_share_no_equal_example(pairs: list[tuple[str, str]]) -> None:
    rows = rows_of(CompletionExample(text, "answer", {"customer": customer}) for customer, text in pairs)
    try:
        split = Splitter(0.5, group="customer").split(rows)
    except SplitError:
        return  # equal examples have tied all groups together
    customers = [{str(rows[row].metadata["customer"]) for row in side} for side in _sides(split)]
    digests = [{rows.digest(row) for row in side} for side in _sides(split)]
    assert not customers[0] & customers[1]
    assert not digests[0] & digests[1]


def test_rows_without_a_group_stand_alone_and_are_told() -> None:
    rows = rows_of(CompletionExample(f"q{number}", "a", {"who": "x"} if number else {}) for number in range(5))
    split = Splitter(0.8, group="who", stratify="none").split(rows)
    assert list(split.validation) == [0]
    assert split.notes == ("1 of 5 examples have no 'who': each prompt of theirs stands alone.",)


def test_another_seed_gives_another_split_and_the_same_seed_the_same_in_every_process() -> None:
    program = (
        "from finetune_kit.splitters import Splitter; from tests.rows_of import many;"
        "print(*Splitter(0.5, seed=3).split(many(20)).training)"
    )
    there = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    here = Splitter(0.5, seed=3).split(many(20)).training
    assert [int(row) for row in there.split()] == list(here)
    assert list(here) != list(Splitter(0.5, seed=4).split(many(20)).training)


def test_a_few_more_rows_move_few_old_ones() -> None:
    before, after = (set(Splitter(0.8).split(many(rows)).training) for rows in (1_000, 1_020))
    moved = before ^ {row for row in after if row < 1_000}
    assert len(moved) < 20


def test_classification_is_stratified_by_itself() -> None:
    labels = ["refund"] * 50 + ["address"] * 30 + ["hours"] * 20
    split = Splitter(0.8).split(completions(*((f"question {row}", label) for row, label in enumerate(labels))))
    assert Counter(labels[row] for row in split.training) == {"refund": 40, "address": 24, "hours": 16}
    assert split.notes == ("Each of the 3 values of 'completion' got the same share on every side.",)


def test_three_sides_are_stratified_too() -> None:
    labels = ["refund"] * 50 + ["address"] * 30 + ["hours"] * 20
    rows = completions(*((f"question {row}", label) for row, label in enumerate(labels)))
    split = Splitter(0.6, test=0.2).split(rows)
    for side, share in ((split.training, 0.6), (split.validation, 0.2), (split.test, 0.2)):
        counts = Counter(labels[row] for row in side)
        assert all(abs(counts[label] - share * labels.count(label)) <= 1 for label in counts)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=12, max_size=80), st.integers())
def test_every_label_has_its_share_within_a_row_or_two(labels: list[str], seed: int) -> None:
    rows = completions(*((f"question {row}", label) for row, label in enumerate(labels)))
    split = Splitter(0.75, seed=seed, stratify="completion").split(rows)
    counts = Counter(labels[row] for row in split.training)
    assert abs(len(split.training) - 0.75 * len(labels)) <= 0.5
    assert all(counts[label] >= 1 for label in set(labels))
    assert all(abs(counts[label] - 0.75 * labels.count(label)) <= 2 for label in set(labels))


def test_free_text_is_not_stratified() -> None:
    assert Splitter().split(many(100)).notes == ()


def test_a_label_that_cannot_be_divided_is_trained_on_and_told() -> None:
    pairs = [*((f"question {row}", "common") for row in range(20)), ("lonely question", "rare")]
    for seed in range(10):
        split = Splitter(0.5, seed=seed, stratify="completion").split(completions(*pairs))
        assert 20 in split.training
        assert "1 that cannot be divided, which training gets first: 'rare'" in split.notes[0]


def test_a_label_with_fewer_prompts_than_sides_is_told() -> None:
    pairs = [*((f"question {row}", "common") for row in range(20)), ("first of two", "rare"), ("second of two", "rare")]
    rows = completions(*pairs)
    assert "rare" not in Splitter(0.6, stratify="completion").split(rows).notes[0]
    assert (
        "1 that cannot be divided, which training gets first: 'rare'"
        in (Splitter(0.6, test=0.2, stratify="completion").split(rows).notes[0])
    )


def test_metadata_can_be_stratified_by() -> None:
    rows = rows_of(CompletionExample(f"q{number}", f"a{number}", {"shop": number % 2}) for number in range(40))
    split = Splitter(0.75, stratify="shop").split(rows)
    assert Counter(row % 2 for row in split.training) == {0: 15, 1: 15}


def test_conversations_with_the_same_question_stay_together() -> None:
    rows = chats(
        *(conversation(("user", f"question {number % 5}"), ("assistant", f"answer {number}")) for number in range(10))
    )
    split = Splitter(0.6).split(rows)
    assert {row % 5 for row in split.training} | {row % 5 for row in split.validation} == set(range(5))
    assert not {row % 5 for row in split.training} & {row % 5 for row in split.validation}


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (Splitter(0), "fraction=0 is not the share of training: give a number such as 0.8"),
        (Splitter(80), "fraction=80 is not"),
        (Splitter(float("nan")), "fraction=nan is not"),
        (Splitter(0.8, test=-0.1), "test=-0.1 is not"),
        (Splitter(0.8, test=0.2), "leave no row for validation"),
        (Splitter(group="client"), "group='client': .* the columns there are besides the text: 'customer', 'shop'"),
        (Splitter(stratify="label"), "stratify='label': no example has a value in such a column"),
        (Splitter(group="shop"), "those with the same 'shop' stay together.* which leaves 1 to deal out"),
    ],
)
def test_what_cannot_be_done_says_why(splitter: Splitter, message: str) -> None:
    rows = rows_of(CompletionExample(f"q{row}", "a", {"customer": row, "shop": "x"}) for row in range(5))
    with pytest.raises(SplitError, match=message):
        splitter.split(rows)


def test_too_few_examples_or_prompts_say_so() -> None:
    with pytest.raises(SplitError, match=r"^0 examples cannot be split into 2 sides"):
        Splitter().split(completions())
    with pytest.raises(SplitError, match="2 examples cannot be split into 3 sides"):
        Splitter(test=0.1).split(many(2))
    with pytest.raises(SplitError, match="which leaves 1 to deal out"):
        Splitter().split(completions(("a", "b"), ("A", "c"), (" a", "d")))
