"""Splits by time, with near-duplicates together, and after an earlier split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit import _units
from finetune_kit.dataset import Dataset, Split
from finetune_kit.errors import ParameterError, SplitError
from finetune_kit.near import NEAR_ROWS, near_groups
from finetune_kit.records import CompletionExample, JsonValue
from finetune_kit.rows import Rows
from finetune_kit.splitters import EarlierSides, SplitIndices, Splitter, leak_report
from tests.rows_of import PAIRS, completions, many, rows_of

DATA = Path(__file__).parents[1].parent / "shared" / "data"
WORDS = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "sigma", "tau"),
)


def sides_of(split: SplitIndices) -> tuple[set[int], ...]:
    return set(split.training), set(split.validation), set(split.test)


def assert_sound(split: SplitIndices, rows: int) -> None:
    sides = (split.training, split.validation, split.test)
    assert sorted(row for side in sides for row in side) == list(range(rows))
    assert all(list(side) == sorted(side) for side in sides)


def at_times(*times: JsonValue) -> Rows:
    return rows_of(CompletionExample(f"question {number}", "a", {"sent": time}) for number, time in enumerate(times))


# time


def test_the_oldest_rows_train_and_the_newest_are_the_test() -> None:
    days = [f"2024-01-{day:02}" for day in range(1, 21)]
    order = Random(1).sample(range(20), 20)
    split = Splitter(0.7, test=0.1, time="sent", stratify="none").split(at_times(*(days[day] for day in order)))
    assert [sorted(order[row] for row in side) for side in (split.training, split.validation, split.test)] == [
        list(range(14)),
        list(range(14, 18)),
        [18, 19],
    ]
    [note] = split.notes
    assert note.startswith("By time: training from 2024-01-01 to 2024-01-14, validation from 2024-01-15 to 2024-01-18")
    assert note.endswith(", test from 2024-01-19 to 2024-01-20.")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 6)), min_size=4, max_size=40), st.integers(0, 5))
@settings(deadline=None)
def test_no_row_that_is_held_out_is_older_than_all_of_training_but_for_its_prompt(
    facts: list[tuple[int, int]], seed: int
) -> None:
    rows = rows_of(CompletionExample(f"prompt {asked}", "a", {"at": time * 10**8}) for time, asked in facts)
    try:
        split = Splitter(0.5, time="at", seed=seed).split(rows)
    except SplitError:
        assert len({asked for _, asked in facts}) < 2
        return
    assert_sound(split, len(facts))
    newest = {asked: max(time for time, other in facts if other == asked) for _, asked in facts}
    trained = [newest[facts[row][1]] for row in split.training]
    held_out = [newest[facts[row][1]] for row in split.validation]
    assert max(trained) <= min(held_out)
    assert not {facts[row][1] for row in split.training} & {facts[row][1] for row in split.validation}


def test_groups_stay_whole_when_time_decides() -> None:
    rows = rows_of(
        CompletionExample(f"question {n}", "a", {"at": 2000 + n, "who": ["x", "y", "z"][n % 3]}) for n in range(9)
    )
    split = Splitter(0.6, time="at", group="who").split(rows)
    assert [row % 3 for row in split.validation] == [2, 2, 2]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (("2024-01-01", "soon"), r"time='sent': support.csv row 3: 'soon' is no date that can be read. Write dates as"),
        (("2024-01-01", None), r"time='sent': support.csv row 3: is empty"),
        (("1/2/2024", "2/3/2024"), r"row 2: '1/2/2024' may begin with the day or with the month"),
        (("2024-01-01", [3]), r"row 3: '\[3\]' is no date"),
    ],
)
def test_what_is_no_time_is_refused_with_its_row(times: tuple[JsonValue, ...], message: str) -> None:
    with pytest.raises(SplitError, match=message):
        Splitter(time="sent").split(at_times(*times))


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (Splitter(time="when"), "time='when': no example has a value in such a column; the columns there .*: 'sent'"),
        (Splitter(time="sent", stratify="completion"), "ask for two different cuts"),
        (Splitter(time="sent", previous=EarlierSides(many(3))), "leave out `previous`, or `time`"),
        (Splitter(previous=EarlierSides(many(3), test=many(2))), "the earlier split has a test side"),
    ],
)
def test_what_does_not_go_together_says_so(splitter: Splitter, message: str) -> None:
    with pytest.raises(SplitError, match=message):
        splitter.split(at_times("2024-01-01", "2024-01-02", "2024-01-03"))


# near-duplicates


def near_texts(random: Random, families: int, copies: int) -> list[str]:
    texts: list[str] = []
    for _ in range(families):
        words = [random.choice(WORDS) + random.choice(WORDS) for _ in range(40)]
        for _ in range(copies):
            changed = [*words]
            changed[random.randrange(40)] = random.choice(WORDS)
            texts.append(" ".join(changed))
    return texts


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 4), st.sampled_from([0.0, 0.2]))
@settings(deadline=None, max_examples=40)
def test_near_groups_stay_whole_when_asked_for(seed: int, families: int, copies: int, test: float) -> None:
    texts = near_texts(Random(seed), families, copies)
    rows = completions(*((text, f"answer {row}") for row, text in enumerate(texts)))
    splitter = Splitter(0.6, test=test, seed=seed, near=True)
    groups = near_groups(rows, by="prompt")
    units = len(texts) - sum(len(group) - 1 for group in groups)
    if units < (3 if test else 2):
        with pytest.raises(SplitError):
            splitter.split(rows)
        return
    split = splitter.split(rows)
    assert_sound(split, len(texts))
    assert splitter.split(rows) == split
    for group in groups:
        assert any(set(group) <= side for side in sides_of(split))


def test_near_duplicates_stay_together_in_small_sets_unless_asked_otherwise() -> None:
    texts = near_texts(Random(4), 40, 2)
    rows = completions(*((text, f"answer {row}") for row, text in enumerate(texts)))
    pairs = [{row, row + 1} for row in range(0, 80, 2)]
    together = Splitter(0.8).split(rows)
    assert all(any(pair <= side for side in sides_of(together)) for pair in pairs)
    assert together.notes == ("80 examples that ask nearly the same as others were kept on one side with them.",)
    apart = Splitter(0.8, near=False).split(rows)
    assert not all(any(pair <= side for side in sides_of(apart)) for pair in pairs)
    assert apart.notes == ()


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files, ../shared/data, is not there")
@pytest.mark.parametrize(
    ("file", "leaks"), [("banking77/train.csv", 100), ("bank-faqs/BankFAQs.csv", 20)], ids=["banking77", "bank-faqs"]
)
def test_real_questions_leak_by_likeness_unless_like_ones_are_kept_together(file: str, leaks: int) -> None:
    data = Dataset.from_csv(DATA / "01-support-en" / file)
    apart, together = (data.split(0.8, near=near) for near in (False, True))
    found: list[int] = []
    for split in (apart, together):
        assert split.validation is not None
        found.append(leak_report(split.training.rows, split.validation.rows, near=True).near or 0)
    assert found[0] > leaks
    assert found[1] == 0
    assert abs(len(together.training) / len(data) - 0.8) < 0.01


def test_a_stricter_likeness_ties_fewer_together() -> None:
    words = [f"{WORDS[n % 19]}{n}" for n in range(20)]
    rows = completions((" ".join(words), "a"), (" ".join([*words[:-2], "x", words[-1]]), "b"), ("other words", "c"))
    assert "2 examples" in Splitter(0.5, near=0.7, stratify="none").split(rows).notes[0]
    assert Splitter(0.5, near=0.95, stratify="none").split(rows).notes == ()
    with pytest.raises(ParameterError, match=r"near=7: give the least similarity"):
        Splitter(near=7).split(rows)


def test_near_duplicates_that_would_move_the_cut_are_not_tied_unless_asked_for() -> None:
    words = " ".join(f"{WORDS[n % 19]}{n}" for n in range(30))
    rows = completions(*((f"{words} {number}", f"answer {number}") for number in range(15)))
    split = Splitter(0.8).split(rows)
    assert len(split.training) == 12
    assert "near=True keeps them together all the same" in split.notes[0]
    with pytest.raises(SplitError, match=r"nearly the same prompt stay together, .* leaves 1 to deal out.* near=False"):
        Splitter(0.8, near=True).split(rows)


def test_large_sets_are_searched_only_when_asked() -> None:
    rows = many(NEAR_ROWS + 1)
    assert "near=True keeps them on one side" in Splitter().split(rows).notes[0]
    assert Splitter(near=False).split(rows).notes == ()


# an earlier split


FACTS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["x", "y", "z", None])), min_size=6, max_size=40)


def grown(facts: Sequence[tuple[int, str | None]]) -> Rows:
    return rows_of(
        CompletionExample(f"prompt {asked}", f"answer {row}", {} if who is None else {"who": who})
        for row, (asked, who) in enumerate(facts)
    )


@given(FACTS, FACTS, st.integers(0, 3), st.sampled_from([0.0, 0.2]), st.sampled_from(["none", "completion"]))
@settings(deadline=None)
def test_known_rows_keep_their_side_and_all_that_ask_the_same_follow(
    old: list[tuple[int, str | None]], new: list[tuple[int, str | None]], seed: int, test: float, stratify: str
) -> None:
    rows = grown([*old, *new])
    before_rows = rows[: len(old)]
    try:
        before = Splitter(0.6, test=test, stratify=stratify).split(before_rows)
        earlier = EarlierSides(*map(before_rows.take, (before.training, before.validation, before.test)))
        after = Splitter(0.6, test=test, stratify=stratify, seed=seed, previous=earlier).split(rows)
    except SplitError:
        return
    assert_sound(after, len(rows))
    for was, side in zip(sides_of(before), sides_of(after), strict=True):
        assert was <= side
    asked = [{([*old, *new])[row][0] for row in side} for side in sides_of(after)]
    assert not asked[0] & asked[1]
    assert not asked[0] & asked[2]
    assert not asked[1] & asked[2]


def test_new_rows_fill_up_to_the_shares() -> None:
    old = many(50)
    before = Splitter(0.6).split(old)
    earlier = EarlierSides(old.take(before.training), old.take(before.validation))
    after = Splitter(0.8, test=0.1, previous=earlier).split(many(200))
    assert [len(after.training), len(after.validation), len(after.test)] == [160, 20, 20]
    assert after.notes == ("50 of 200 examples keep the side that they or their like were on before.",)


def test_a_side_above_its_share_gets_no_new_row() -> None:
    old = many(50)
    earlier = EarlierSides(old.take(range(10)), old.take(range(10, 50)))
    after = Splitter(0.8, previous=earlier).split(many(60))
    assert (len(after.training), set(range(10, 50))) == (20, set(after.validation))


def test_labels_of_new_rows_are_balanced() -> None:
    labels = ["a", "b", "c", "d"] * 25
    rows = completions(*((f"question {row}", label) for row, label in enumerate(labels)))
    earlier = EarlierSides(rows.take(range(16)), rows.take(range(16, 20)))
    after = Splitter(0.8, previous=earlier).split(rows)
    assert [sum(labels[row] == label for row in after.training) for label in "abcd"] == [20] * 4
    assert "got the same share of the new examples on every side" in after.notes[0]


def test_new_rows_of_a_known_group_go_where_it_was() -> None:
    rows = grown([(number, "xyz"[number % 3]) for number in range(60)])
    before = Splitter(0.6, group="who").split(rows[:30])
    earlier = EarlierSides(rows.take(before.training), rows.take(before.validation))
    after = Splitter(0.6, group="who", previous=earlier).split(rows)
    assert {row % 3 for row in before.training} == {row % 3 for row in after.training}


def test_what_was_trained_on_and_held_out_stays_and_is_told() -> None:
    rows = grown([(number, "x") for number in range(10)])
    earlier = EarlierSides(rows.take([0, 1]), rows.take([1, 2]))
    after = Splitter(0.5, group="who", previous=earlier).split(rows)
    assert list(after.validation) == [2]
    assert "Examples that belong together were on two sides before, 1 times" in after.notes[1]


def test_rows_that_came_to_the_end_need_only_the_old_numbers() -> None:
    data = Dataset.from_records([*PAIRS, *((f"new {number}", "other") for number in range(20))])
    before = Splitter(0.5).split(data.rows[:20])
    after = data.split(0.5, previous=before)
    kept = [example.prompt for example in after.training if isinstance(example, CompletionExample)]
    assert {PAIRS[row][0] for row in before.training} <= set(kept)
    again = data.split(0.5, seed=9, previous=after)
    assert list(again.training) == list(after.training)
    two_files = Split(after.training, after.validation)
    assert data.split(Splitter(0.5), previous=two_files).validation is not None
    with pytest.raises(ParameterError, match="previous names rows beyond the 5 that there are"):
        Dataset.from_records(PAIRS[:5]).split(previous=before)
    wrong: Any = [1, 2]
    with pytest.raises(ParameterError, match="previous is list: pass the earlier Split"):
        data.split(previous=wrong)


def test_an_empty_side_that_nothing_new_can_fill_says_so() -> None:
    rows = many(4)
    with pytest.raises(SplitError, match="1 of them have no earlier example, and only 0 groups of new ones"):
        Splitter(0.5, previous=EarlierSides(rows)).split(rows)


# growing without it


def test_rows_without_labels_keep_their_sides_when_many_come() -> None:
    moved = 0
    for seed in range(5):
        before, after = (Splitter(0.8, seed=seed, near=False).split(many(rows)) for rows in (20_000, 30_000))
        moved += len(set(before.training) ^ {row for row in after.training if row < 20_000})
        assert abs(len(after.training) / 30_000 - 0.8) <= _units.TOLERANCE
    assert moved == 0


@given(st.integers(1_001, 1_400), st.integers(0, 99), st.sampled_from([0.0, 0.1]))
@settings(deadline=None, max_examples=30)
def test_a_side_misses_its_share_by_the_tolerance_at_most(count: int, seed: int, test: float) -> None:
    split = Splitter(0.7, test=test, seed=seed, near=False).split(many(count))
    assert_sound(split, count)
    assert abs(len(split.training) - 0.7 * count) <= _units.TOLERANCE * count + 1
    assert abs(len(split.test) - test * count) <= _units.TOLERANCE * count + 1
