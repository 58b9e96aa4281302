"""Intervals are as wide as the sample is small, and never wider than the truth can be."""

from __future__ import annotations

import random

import pytest

from finetune_kit._intervals import difference_interval, share_interval


def test_the_interval_of_a_share_is_wilsons() -> None:
    low, high = share_interval(7, 10)
    assert (round(low, 4), round(high, 4)) == (0.3968, 0.8922)  # as `statsmodels.stats.proportion` has it


def test_without_examples_anything_is_possible() -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    assert difference_interval(0, 0, 0) == (-1.0, 1.0)


@pytest.mark.parametrize("rows", [8, 40, 72, 73, 200])
def test_models_that_never_differ_are_within_five_percent_on_73_examples_and_more(rows: int) -> None:
    low, high = difference_interval(0, 0, rows)
    assert (low >= -0.05 and high <= 0.05) is (rows >= 73)


def test_the_true_difference_is_nearly_always_inside() -> None:
    draw = random.Random(5)
    rows, only_first, only_second = 80, 0.12, 0.2
    missed = 0
    for _ in range(2000):
        drawn = [draw.random() for _ in range(rows)]
        first = sum(one < only_first for one in drawn)
        second = sum(only_first <= one < only_first + only_second for one in drawn)
        low, high = difference_interval(first, second, rows)
        missed += not low <= only_second - only_first <= high
    assert missed / 2000 < 0.05
