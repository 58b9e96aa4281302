"""How examples are laid into packed rows: several in one, so that no matrix multiplication is spent on padding.

Attention alone works on padded blocks (one example each), because it must not look across examples; its cost is small
where the blocks of one row have like lengths, so examples are sorted by length before they are laid down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ROW_TOKENS = 1024
"""A packed row holds at most so many tokens, unless one example alone is longer."""
PADDED_SHARE = 1.5
"""The padded blocks of a row hold at most so many times ROW_TOKENS positions."""
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


@dataclass(frozen=True, slots=True)
class PackedRow:
    """Examples laid one behind the other."""

    tokens: tuple[int, ...]
    """Padded at the end to `LENGTH_MULTIPLE`."""
    positions: tuple[int, ...]
    """Restart with every example."""
    lengths: tuple[int, ...]
    """Of the examples, in their order."""
    targets: tuple[tuple[int, int, float], ...]
    """Where the loss counts: (index of the position that predicts, the token it should predict, its weight)."""

    @property
    def block_length(self) -> int:
        """Length of the padded attention blocks."""
        return round_up(max(self.lengths))


def round_up(length: int) -> int:
    """To the next multiple of `LENGTH_MULTIPLE`."""
    return -(-length // LENGTH_MULTIPLE) * LENGTH_MULTIPLE


def pack(examples: Sequence[Encoded], *, row_tokens: int = ROW_TOKENS) -> list[PackedRow]:
    """Lay `examples` into rows; each is in exactly one of them."""
    rows: list[PackedRow] = []
    waiting: list[Encoded] = []
    for example in sorted(examples, key=lambda example: len(example.tokens)):
        tokens = sum(len(other.tokens) for other in waiting) + len(example.tokens)
        padded = (len(waiting) + 1) * round_up(len(example.tokens))
        if waiting and (tokens > row_tokens or padded > PADDED_SHARE * row_tokens):
            rows.append(_lay(waiting))
            waiting = []
        waiting.append(example)
    if waiting:
        rows.append(_lay(waiting))
    return rows


def _lay(examples: Sequence[Encoded]) -> PackedRow:
    tokens: list[int] = []
    positions: list[int] = []
    targets: list[tuple[int, int, float]] = []
    for example in examples:
        start = len(tokens)
        tokens += example.tokens
        positions += range(len(example.tokens))
        targets += [
            (start + index - 1, token, weight)
            for index, (token, weight) in enumerate(zip(example.tokens, example.weights, strict=True))
            if weight > 0 and index > 0
        ]
    filler = round_up(len(tokens)) - len(tokens)
    return PackedRow(
        tokens=(*tokens, *[0] * filler),
        positions=(*positions, *[0] * filler),
        lengths=tuple(len(example.tokens) for example in examples),
        targets=tuple(targets),
    )
