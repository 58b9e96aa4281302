"""Repeated keys are found at any number of keys."""

from __future__ import annotations

from array import array
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import repeats


@given(st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1]), max_size=50), st.integers(1, 7))
def test_they_are_those_that_a_counter_counts_twice(keys: list[int], run: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_RUN", run)
        assert repeats.repeated(array("Q", keys)) == {key for key, times in Counter(keys).items() if times > 1}


@given(st.lists(st.integers(0, 2**64 - 1) | st.sampled_from([0, 1, 2**63, 2**64 - 1]), max_size=50), st.integers(1, 7))
def test_keys_are_put_in_order_run_by_run(keys: list[int], run: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repeats, "_FEW", 0)
        patch.setattr(repeats, "_RUN", run)
        assert repeats.ranked(array("Q", keys)) == array("Q", sorted(keys))
