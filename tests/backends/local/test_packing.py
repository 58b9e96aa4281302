"""Packed rows: nothing is lost, doubled or mixed up."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.backends.local.packing import LENGTH_MULTIPLE, PADDED_SHARE, Encoded, PackedRow, pack, round_up
from finetune_kit.backends.local.prefixes import WORTH_TOKENS, shared

ROW_TOKENS = 128


BEGINNINGS = [(), tuple(range(1, 70)), (*range(1, 40), *range(100, 160)), tuple(range(1, 9))]


def encoded(draw: st.DrawFn) -> Encoded:
    length = draw(st.integers(1, 200))
    own = draw(st.lists(st.integers(1, 999), min_size=length, max_size=length))
    tokens = (*draw(st.sampled_from(BEGINNINGS)), *own)
    weights = draw(st.lists(st.sampled_from([0.0, 0.01, 1.0]), min_size=len(tokens) - 1, max_size=len(tokens) - 1))
    return Encoded(tokens, (0.0, *weights))


EXAMPLES = st.lists(st.composite(encoded)(), max_size=40)


def texts_in(row: PackedRow) -> list[tuple[int, ...]]:
    """The tokens of the examples that were laid into `row`."""
    found: list[tuple[int, ...]] = []
    start = row.prefix
    for length in row.lengths:
        found.append((*row.tokens[: row.prefix], *row.tokens[start : start + length]))
        start += length
    return found


def wanted(examples: list[Encoded]) -> Counter[tuple[tuple[int, ...], int]]:
    """How often each (text up to a token, its next token) counts, in hundredths of a weight."""
    weights = Counter[tuple[tuple[int, ...], int]]()
    for example in examples:
        for index, weight in enumerate(example.weights):
            if weight > 0:
                weights[example.tokens[:index], example.tokens[index]] += round(100 * weight)
    return weights


def laid(rows: list[PackedRow]) -> Counter[tuple[tuple[int, ...], int]]:
    """The same, read back from rows."""
    weights = Counter[tuple[tuple[int, ...], int]]()
    for row in rows:
        seen: list[tuple[int, ...]] = [row.tokens[: place + 1] for place in range(row.prefix)]
        for text in texts_in(row):
            seen += [text[: place + 1] for place in range(row.prefix, len(text))]
        for target in row.targets:
            weights[seen[target.place], target.token] += round(100 * target.weight)
    return weights


@given(examples=EXAMPLES, share=st.booleans())
def test_every_example_is_in_exactly_one_row(examples: list[Encoded], *, share: bool) -> None:
    rows = pack(examples, row_tokens=ROW_TOKENS, share=share)
    assert Counter(text for row in rows for text in texts_in(row)) == Counter(example.tokens for example in examples)


@given(examples=EXAMPLES, share=st.booleans())
def test_every_token_counts_with_all_its_weight_behind_its_own_text(examples: list[Encoded], *, share: bool) -> None:
    rows = pack(examples, row_tokens=ROW_TOKENS, share=share)
    assert laid(rows) == wanted(examples)
    answers = sum(weight >= 1.0 for example in examples for weight in example.weights)
    assert sum(target.full for row in rows for target in row.targets) == answers


def test_a_beginning_of_several_examples_is_laid_down_once() -> None:
    beginning = BEGINNINGS[1]
    examples = [Encoded((*beginning, 500 + n, 7), (0.0, *[0.01] * len(beginning), 1.0)) for n in range(8)]
    (row,) = pack(examples)
    assert row.prefix == len(beginning)
    assert row.lengths == (2,) * 8
    assert len(row.tokens) == round_up(len(beginning) + 16)
    assert row.targets[0].weight == pytest.approx(0.08)
    last = [target.token for target in row.targets if target.place == row.prefix - 1]
    assert last == [500 + n for n in range(8)], "what follows differs by example, so the place predicts each"


def test_of_two_beginnings_each_is_laid_down_once() -> None:
    pairs = [(BEGINNINGS[1 + n % 2], 500 + n) for n in range(8)]
    examples = [Encoded((*beginning, own), (*[0.0] * len(beginning), 1.0)) for beginning, own in pairs]
    assert sorted(row.prefix for row in pack(examples)) == [len(BEGINNINGS[1]), len(BEGINNINGS[2])]


def test_a_beginning_that_spares_little_is_laid_down_with_each() -> None:
    examples = [Encoded((1, 2, 3, 500 + n, 7), (0.0, 0.0, 0.0, 1.0, 1.0)) for n in range(8)]
    assert [row.prefix for row in pack(examples)] == [0]


def test_examples_that_are_the_same_keep_a_token_of_their_own() -> None:
    example = Encoded(BEGINNINGS[1], (0.0, *[1.0] * 68))
    (row,) = pack([example] * 3)
    assert (row.prefix, row.lengths) == (68, (1, 1, 1))
    assert {target.weight for target in row.targets} == {3.0}


@given(EXAMPLES)
def test_rows_keep_their_limits_unless_one_example_alone_is_longer(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        if len(row.lengths) > 1:
            room = max(ROW_TOKENS - row.prefix, ROW_TOKENS // 2)
            assert sum(row.lengths) <= room
            assert len(row.lengths) * row.block_length <= PADDED_SHARE * ROW_TOKENS


@given(EXAMPLES)
def test_rows_and_blocks_have_few_different_shapes(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        assert len(row.tokens) == len(row.positions) == round_up(row.prefix + sum(row.lengths))
        assert row.block_length % LENGTH_MULTIPLE == 0
        assert row.block_length >= max(row.lengths)


@given(EXAMPLES)
def test_positions_go_on_from_the_beginning_with_every_example(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        expected = [row.prefix + place for length in row.lengths for place in range(length)]
        assert list(row.positions[: row.prefix + len(expected)]) == [*range(row.prefix), *expected]


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=300).map(tuple), max_size=12))
def test_groups_have_their_beginning_in_common_and_spare_what_can_be_spared(
    texts: list[tuple[int, ...]],
) -> None:
    groups = shared(texts)
    assert sorted(index for _, members in groups for index in members) == list(range(len(texts)))
    for length, members in groups:
        assert len({texts[index][:length] for index in members}) == 1
        assert all(len(texts[index]) > length for index in members) or length == 0
        assert length == 0 or length * (len(members) - 1) >= WORTH_TOKENS
    spared = sum(length * (len(members) - 1) for length, members in groups)
    if texts:
        least = min(len(text) for text in texts) - 1
        everybody = next((n for n in range(least) if len({text[n] for text in texts}) > 1), least)
        together = everybody * (len(texts) - 1)
        assert spared >= together or together < WORTH_TOKENS


def test_beginnings_may_be_nested_as_deep_as_examples_are_long() -> None:
    groups = shared([(1,) * length for length in range(1, 1500)])
    assert sorted(index for _, members in groups for index in members) == list(range(1499))
    length, members = max(groups)
    assert length * (len(members) - 1) > 500_000


def test_no_examples_make_no_rows() -> None:
    assert pack([]) == []
