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
    common = [_common(sequences[one], sequences[two]) for one, two in pairwise(order)]
    groups: list[tuple[int, list[int]]] = []
    alone: list[int] = []
    for length, start, stop in _best(common, 0, len(order))[1]:
        if length:
            groups.append((length, sorted(order[start:stop])))
        else:
            alone += order[start:stop]
    return [*([(0, sorted(alone))] if alone else []), *groups]


def _common(one: tuple[int, ...], two: tuple[int, ...]) -> int:
    """How many tokens both begin with, less than the shorter one has."""
    most = min(len(one), len(two)) - 1
    if one[:most] == two[:most]:
        return max(most, 0)
    low, high = 0, most  # the slices of `low` tokens are equal, those of `high` are not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if one[:middle] == two[:middle] else (low, middle)
    return low


def _best(common: Sequence[int], start: int, stop: int) -> tuple[int, list[tuple[int, int, int]]]:
    """Tokens spared, and the groups (length, start, stop) that spare them, of neighbours in sorted order.

    Members of a group are neighbours there, so it is one group, or what its parts do best between the places where
    neighbours have least in common. `common[i]` is between the places i and i + 1.
    """
    if stop - start < 2:
        return 0, [(0, start, stop)]
    between = common[start : stop - 1]
    least = min(between)
    cuts = [start, *(start + 1 + place for place, length in enumerate(between) if length == least), stop]
    parts = [_best(common, one, two) for one, two in pairwise(cuts)]
    spared = sum(part[0] for part in parts)
    together = least * (stop - start - 1)
    if together >= max(spared, WORTH_TOKENS):
        return together, [(least, start, stop)]
    return spared, [group for part in parts for group in part[1]]
