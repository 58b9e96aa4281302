"""Completions are labels where they are few and repeat."""

from __future__ import annotations

import pytest

from finetune_kit.dataset import Dataset
from finetune_kit.labels import closed_labels
from tests.rows_of import chats, completions, conversation, many


def test_labels_are_sorted_and_each_named_once() -> None:
    rows = completions(*((f"{number}?", label) for number, label in enumerate(["b", "a", "b", "a", "b", "b"])))
    assert closed_labels(rows) == ("a", "b")


@pytest.mark.parametrize("rows", [5, 30])
def test_texts_that_all_differ_are_none(rows: int) -> None:
    assert closed_labels(many(rows)) == ()


def test_a_single_answer_is_no_choice() -> None:
    assert closed_labels(many(9, completion="yes")) == ()


def test_three_rows_to_a_label_are_needed() -> None:
    pairs = [(f"{number}?", str(number % 3)) for number in range(9)]
    assert closed_labels(completions(*pairs)) == ("0", "1", "2")
    assert closed_labels(completions(*pairs[:8])) == ()


def test_conversations_have_none() -> None:
    assert closed_labels(chats(*[conversation(("user", "a"), ("assistant", "b"))] * 9)) == ()


def test_a_data_set_looks_for_them_once() -> None:
    data = Dataset.from_records([(f"{number}?", "ab"[number % 2]) for number in range(8)])
    assert data.labels is data.labels
    assert data.labels == ("a", "b")
