"""Packed rows: nothing is lost, doubled or mixed up."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.backends.local.packing import LENGTH_MULTIPLE, PADDED_SHARE, Encoded, PackedRow, pack, round_up

ROW_TOKENS = 128


def encoded(draw: st.DrawFn) -> Encoded:
    length = draw(st.integers(1, 200))
    tokens = draw(st.lists(st.integers(1, 999), min_size=length, max_size=length))
    weights = draw(st.lists(st.sampled_from([0.0, 0.01, 1.0]), min_size=length - 1, max_size=length - 1))
    return Encoded(tuple(tokens), (0.0, *weights))


EXAMPLES = st.lists(st.composite(encoded)(), max_size=40)


def examples_in(row: PackedRow) -> list[Encoded]:
    """The examples that were laid into `row`, read back from its tokens, lengths and targets."""
    found: list[Encoded] = []
    start = 0
    weight_at = {place + 1: (token, weight) for place, token, weight in row.targets}
    for length in row.lengths:
        tokens = row.tokens[start : start + length]
        weights: list[float] = []
        for place in range(start, start + length):
            token, weight = weight_at.get(place, (row.tokens[place], 0.0))
            assert token == row.tokens[place], "a target is not the token that stands there"
            weights.append(weight)
        found.append(Encoded(tokens, tuple(weights)))
        start += length
    return found


@given(EXAMPLES)
def test_every_example_is_in_exactly_one_row_with_its_weights(examples: list[Encoded]) -> None:
    laid = [example for row in pack(examples, row_tokens=ROW_TOKENS) for example in examples_in(row)]
    assert Counter(laid) == Counter(examples)


@given(EXAMPLES)
def test_rows_keep_their_limits_unless_one_example_alone_is_longer(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        if len(row.lengths) > 1:
            assert sum(row.lengths) <= ROW_TOKENS
            assert len(row.lengths) * row.block_length <= PADDED_SHARE * ROW_TOKENS


@given(EXAMPLES)
def test_rows_and_blocks_have_few_different_shapes(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        assert len(row.tokens) == len(row.positions) == round_up(sum(row.lengths))
        assert row.block_length % LENGTH_MULTIPLE == 0
        assert row.block_length >= max(row.lengths)


@given(EXAMPLES)
def test_positions_restart_with_every_example(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        expected = [place for length in row.lengths for place in range(length)]
        assert list(row.positions[: len(expected)]) == expected


@given(EXAMPLES)
def test_no_target_crosses_from_one_example_into_the_next(examples: list[Encoded]) -> None:
    for row in pack(examples, row_tokens=ROW_TOKENS):
        starts = {sum(row.lengths[:index]) for index in range(len(row.lengths))}
        assert not starts & {place + 1 for place, _, _ in row.targets}


def test_no_examples_make_no_rows() -> None:
    assert pack([]) == []
