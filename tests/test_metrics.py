"""Numbers about labels are those of scikit-learn, wherever that defines them."""

from __future__ import annotations

import math
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from finetune_kit import _metrics

sklearn = pytest.importorskip("sklearn.metrics")
LABELS = ("a", "b", "c", "d")
pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS[:3])), min_size=1, max_size=60)
scored = st.lists(
    st.tuples(st.booleans(), st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))),
    min_size=1,
    max_size=60,
)


@given(rows=pairs, beta=st.floats(0.01, 100), place=st.integers(0, 3))
@example(rows=[("a", "b")], beta=1.0, place=3)
def test_precision_recall_and_f_beta_are_scikit_learns(rows: list[tuple[str, str]], beta: float, place: int) -> None:
    truths, predictions = map(list, zip(*rows, strict=True))
    counts = _metrics.confusion(LABELS, truths, predictions)
    assert [list(row) for row in counts] == sklearn.confusion_matrix(truths, predictions, labels=LABELS).tolist()
    assert _metrics.accuracy(counts) == pytest.approx(sklearn.accuracy_score(truths, predictions))
    precision, recall, f_beta, _ = sklearn.precision_recall_fscore_support(
        truths, predictions, labels=LABELS, beta=beta, zero_division=0
    )
    assert _metrics.precision(counts, place) == pytest.approx(precision[place])
    assert _metrics.recall(counts, place) == pytest.approx(recall[place])
    assert _metrics.f_beta(counts, place, beta) == pytest.approx(f_beta[place])
    weighted = sklearn.f1_score(truths, predictions, labels=LABELS, average="weighted", zero_division=0)
    assert _metrics.weighted_f1(counts) == pytest.approx(weighted)


@given(rows=scored)
@example(rows=[(True, 0.5), (False, 0.5)])
@example(rows=[(True, 0.5)] * 3 + [(False, 0.5)] * 5 + [(True, 1.0), (False, 0.0)])
def test_auroc_and_average_precision_are_scikit_learns(rows: list[tuple[bool, float]]) -> None:
    positive, scores = map(list, zip(*rows, strict=True))
    both = len(set(positive)) == 2
    expected = sklearn.roc_auc_score(positive, scores) if both else None
    assert _metrics.auroc(positive, scores) == (None if expected is None else pytest.approx(expected))
    with warnings.catch_warnings(action="ignore"):
        area = sklearn.average_precision_score(positive, scores)
    assert _metrics.average_precision(positive, scores) == (pytest.approx(area) if any(positive) else None)


def test_what_is_not_defined_is_none() -> None:
    assert _metrics.accuracy(()) is None
    assert _metrics.weighted_f1(()) is None
    assert _metrics.auroc([], []) is None
    assert _metrics.auroc([True, False], [0.5, math.nan]) is None
    assert _metrics.average_precision([False, False], [0.5, 0.4]) is None
    assert _metrics.average_precision([True, False], [math.nan, 0.5]) is None


@pytest.mark.parametrize("beta", [1e-200, 1e200, 1e308])
def test_a_beta_beyond_all_measure_is_a_number_still(beta: float) -> None:
    counts = ((3, 1), (2, 4))
    expected = _metrics.recall(counts, 0) if beta > 1 else _metrics.precision(counts, 0)
    assert _metrics.f_beta(counts, 0, beta) == pytest.approx(expected)
