"""How examples are laid into packed rows: several in one, so that no matrix multiplication is spent on padding.

Attention alone works on padded blocks (one example each), because it must not look across examples; its cost is small
where the blocks of one row have like lengths, so examples are sorted by length before they are laid down.

A beginning that examples share stands once at the start of their row. What it predicts counts as often as it was
asked for: the weights of its examples are summed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from finetune_kit.backends.local.prefixes import shared

ROW_TOKENS = 1024
"""A packed row holds at most so many tokens, unless one example alone is longer."""
PADDED_SHARE = 1.5
"""The padded blocks of a row hold at most so many times ROW_TOKENS positions, unless one block alone is longer."""
LENGTH_MULTIPLE = 16
"""Rows and blocks are rounded up to this, so that the machine sees few different shapes."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """One example as tokens."""

    tokens: tuple[int, ...]
    weights: tuple[float, ...]
    """For each token, the weight of its prediction in the loss; the first is never predicted and has weight 0."""

    @property
    def trained_tokens(self) -> int:
        """How many tokens count in the loss."""
        return sum(1 for weight in self.weights if weight > 0)


class Target(NamedTuple):
    """Where the loss counts."""

    place: int
    """Index in the row of the position that predicts."""
    token: int
    """What it should predict."""
    weight: float
    """Of this loss; summed over the examples that share the place."""
    full: int
    """How many of them have a weight of 1 or more there: prompt tokens are not counted in the accuracy."""


@dataclass(frozen=True, slots=True)
class PackedRow:
    """A beginning that the examples share, if any, then the rest of each, one behind the other."""

    tokens: tuple[int, ...]
    """Padded at the end to `LENGTH_MULTIPLE`."""
    positions: tuple[int, ...]
    """Go on from the shared beginning with every example."""
    prefix: int
    """Length of the shared beginning; 0 where there is none."""
    lengths: tuple[int, ...]
    """Of the examples in their order, without the shared beginning."""
    targets: tuple[Target, ...]

    @property
    def block_length(self) -> int:
        """Length of the padded attention blocks."""
        return round_up(max(self.lengths))


def round_up(length: int) -> int:
    """To the next multiple of `LENGTH_MULTIPLE`."""
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def pack(examples: Sequence[Encoded], *, row_tokens: int = ROW_TOKENS, share: bool = True) -> list[PackedRow]:
    """Lay `examples` into rows; each is in exactly one of them. Without `share`, each has all its tokens there."""
    groups = shared([example.tokens for example in examples]) if share else [(0, list(range(len(examples))))]
    rows: list[PackedRow] = []
    for prefix, members in groups:
        # Beside a long beginning there is still room for examples, or it would be laid down over and over.
        room = max(row_tokens - prefix, row_tokens // 2)
        rows += _rows([examples[index] for index in members], prefix, room=room, padded_room=PADDED_SHARE * row_tokens)
    return rows


def _rows(examples: Sequence[Encoded], prefix: int, *, room: int, padded_room: float) -> list[PackedRow]:
    """The examples of one group."""
    rows: list[PackedRow] = []
    waiting: list[Encoded] = []
    laid = 0
    for example in sorted(examples, key=lambda example: len(example.tokens)):
        length = len(example.tokens) - prefix
        padded = (len(waiting) + 1) * round_up(length)
        if waiting and (laid + length > room or padded > padded_room):
            rows.append(lay(waiting, prefix))
            waiting, laid = [], 0
        waiting.append(example)
        laid += length
    if waiting:
        rows.append(lay(waiting, prefix))
    return rows


def lay(examples: Sequence[Encoded], prefix: int) -> PackedRow:
    """One row: the first `prefix` tokens, which all of `examples` begin with, then the rest of each."""
    tokens = list(examples[0].tokens[:prefix])
    positions = list(range(prefix))
    targets: dict[tuple[int, int], Target] = {}
    for example in examples:
        start = len(tokens) - prefix
        tokens += example.tokens[prefix:]
        positions += range(prefix, len(example.tokens))
        for index, (token, weight) in enumerate(zip(example.tokens, example.weights, strict=True)):
            if weight > 0 and index > 0:
                place = index - 1 if index <= prefix else start + index - 1
                before = targets.get((place, token))
                summed = (before.weight if before else 0.0) + weight
                full = (before.full if before else 0) + (weight >= 1.0)
                targets[place, token] = Target(place, token, summed, full)
    filler = round_up(len(tokens)) - len(tokens)
    return PackedRow(
        tokens=(*tokens, *[0] * filler),
        positions=(*positions, *[0] * filler),
        prefix=prefix,
        lengths=tuple(len(example.tokens) - prefix for example in examples),
        targets=tuple(targets.values()),
    )
