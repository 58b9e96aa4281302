"""Numbers about predicted labels, by their definitions; None where a definition divides by nothing at all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

Confusion = tuple[tuple[int, ...], ...]
"""A row for each true label, in it a column for each predicted one."""


def confusion(labels: Sequence[str], truths: Sequence[str], predictions: Sequence[str]) -> Confusion:
    """How often each label was taken for each other one."""
    places = {label: place for place, label in enumerate(labels)}
    counts = [[0] * len(labels) for _ in labels]
    for truth, prediction in zip(truths, predictions, strict=True):
        counts[places[truth]][places[prediction]] += 1
    return tuple(map(tuple, counts))


def accuracy(counts: Confusion) -> float | None:
    """The share of all that is on the diagonal."""
    return _share(sum(row[place] for place, row in enumerate(counts)), sum(map(sum, counts)))


def precision(counts: Confusion, place: int) -> float:
    """Of what was taken for a label, the share that has it; 0 where nothing was."""
    return _share(counts[place][place], sum(row[place] for row in counts)) or 0.0


def recall(counts: Confusion, place: int) -> float:
    """Of what has a label, the share that was taken for it; 0 where nothing has it."""
    return _share(counts[place][place], sum(counts[place])) or 0.0


def f_beta(counts: Confusion, place: int, beta: float) -> float:
    """Precision and recall in one number, recall weighing `beta` times as much; 0 where both are 0."""
    right = counts[place][place]
    missed = sum(counts[place]) - right
    false = sum(row[place] for row in counts) - right
    if not right:
        return 0.0
    if math.isinf(beta * beta):  # recall alone counts
        return recall(counts, place)
    weight = beta * beta
    return (1 + weight) * right / ((1 + weight) * right + weight * missed + false)


def weighted_f1(counts: Confusion) -> float | None:
    """The mean of all labels' F1, each weighing as much as it has examples."""
    supports = [sum(row) for row in counts]
    total = sum(supports)
    return _share(sum(size * f_beta(counts, place, 1) for place, size in enumerate(supports)), total)


def auroc(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """How probably a positive example has a higher score than a negative one, equal scores counting half.

    None where one of the two is not there, or a score is NaN.
    """
    positives = sum(positive)
    negatives = len(positive) - positives
    if not positives or not negatives or any(map(math.isnan, scores)):
        return None
    above = wins = 0.0
    for right, wrong in _by_score(positive, scores):
        wins += wrong * (above + right / 2)
        above += right
    return wins / (positives * negatives)


def average_precision(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """The area under precision over recall, by steps, not by lines between them.

    None where there is no positive example, or a score is NaN.
    """
    positives = sum(positive)
    if not positives or any(map(math.isnan, scores)):
        return None
    area = found = taken = 0.0
    for right, wrong in _by_score(positive, scores):
        found += right
        taken += right + wrong
        area += right * found / taken
    return area / positives


def _by_score(positive: Sequence[bool], scores: Sequence[float]) -> Iterator[tuple[int, int]]:
    """How many positive and negative examples have each score, from the highest on."""
    ranked = sorted(zip(scores, positive, strict=True), reverse=True)
    for _, equal in groupby(ranked, key=lambda pair: pair[0]):
        sides = [side for _, side in equal]
        yield sum(sides), len(sides) - sum(sides)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None
