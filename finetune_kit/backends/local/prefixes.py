"""Beginnings that examples share, found by their tokens: a system prompt, tools, a few-shot header.

Such a beginning is laid down once for all its examples; see `packing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

WORTH_TOKENS = 64
"""A beginning is laid down once where that spares at least so many tokens; less is eaten up by the smaller rows."""


def shared(sequences: Sequence[tuple[int, ...]]) -> list[tuple[int, list[int]]]:
    """Groups that spare the most tokens, each as (length of its common beginning, indices of its members).

    Every index is in exactly one group; those that share nothing worth it are together in one of length 0. At least
    one token of each member stays its own.
    """
    order = sorted(range(len(sequences)), key=lambda index: sequences[index])
    between: list[int] = []
    for one, two in pairwise(sequences[index] for index in order):
        between.append(max(0, min(common(one, two), len(one) - 1, len(two) - 1)))
    groups: list[tuple[int, list[int]]] = []
    alone: list[int] = []
    for length, start, stop in _best(between, len(order)):
        if length:
            groups.append((length, sorted(order[start:stop])))
        else:
            alone += order[start:stop]
    return [*([(0, sorted(alone))] if alone else []), *groups]


def common(one: Sequence[int], two: Sequence[int]) -> int:
    """How many tokens both begin with."""
    low, high = 0, min(len(one), len(two))
    if one[:high] == two[:high]:
        return high
    while high - low > 1:  # the slices of `low` tokens are equal, those of `high` are not
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle)
    return low


def _best(common: Sequence[int], count: int) -> list[tuple[int, int, int]]:
    """The groups (length, start, stop) that spare the most tokens, of `count` neighbours in sorted order.

    Members of a group are neighbours there, so neighbours are one group, or what their parts do best between the places
    where they have least in common. `common[i]` is between the places i and i + 1. Without recursion: beginnings can be
    nested as deep as examples are long.
    """
    spans = [(0, count)]
    parts: list[range] = []
    for start, stop in spans:  # which grows meanwhile
        between = common[start : stop - 1] if stop - start > 1 else ()
        first = len(spans)
        if between:
            least = min(between)
            cuts = [start, *(start + 1 + place for place, length in enumerate(between) if length == least), stop]
            spans += pairwise(cuts)
        parts.append(range(first, len(spans)))
    spared = [0] * len(spans)
    together = [0] * len(spans)
    for index in reversed(range(len(spans))):  # parts come behind their whole
        if parts[index]:
            start, stop = spans[index]
            apart = sum(spared[part] for part in parts[index])
            length = min(common[start : stop - 1])
            saves = length * (stop - start - 1)
            together[index] = length if saves >= max(apart, WORTH_TOKENS) else 0
            spared[index] = max(saves, apart) if together[index] else apart
    found: list[tuple[int, int, int]] = []
    waiting = [0]
    while waiting:
        index = waiting.pop()
        if together[index] or not parts[index]:
            found.append((together[index], *spans[index]))
        else:
            waiting += parts[index]
    return found
