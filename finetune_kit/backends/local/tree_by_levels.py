"""The prefix tree level by level behind each prompt, whose keys and values are computed once.

A branch that the model is nearly certain not to take is not followed: what is decided behind it has no say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from finetune_kit.backends.local.batch import Prompt, SlotBatch
from finetune_kit.backends.local.tree import Tree

if TYPE_CHECKING:
    import torch

NEGLIGIBLE = 1e-6
"""The labels behind a branch of less share it evenly; none of them is further off than this."""


@dataclass(frozen=True, slots=True)
class _Path:
    """A way into the tree behind one prompt."""

    row: int
    fork: int
    """Where it ends."""
    tokens: list[int]
    """Since the fork before."""
    before: list[int]
    """The places in the row of its earlier tokens."""
    reached: float
    """How probable it is that the model goes there."""


def shares_by_levels(batch: SlotBatch, prompts: Sequence[Prompt], tree: Tree) -> list[list[list[float]]]:
    """For each prompt and each fork, the model's probabilities of the branches among themselves.

    The prompts include what all completions begin with. The batch is empty before.
    """
    branches = tree.branches()
    shares = [[[1.0 / len(tokens)] * len(tokens) for _, tokens in tree.forks] for _ in prompts]
    lengths = [len(prompt.tokens) for prompt in prompts]
    paths = [_Path(row, 0, [], [], 1.0) for row in range(len(prompts))]
    hidden = batch.prefill(prompts)
    while paths:
        further: list[_Path] = []
        for path, chances in zip(paths, _chances(batch, hidden, paths, tree), strict=True):
            shares[path.row][path.fork] = chances
            for chance, (fork, tokens) in zip(chances, branches[path.fork], strict=True):
                if fork >= 0 and path.reached * chance >= NEGLIGIBLE:
                    further.append(_Path(path.row, fork, tokens, path.before, path.reached * chance))
        paths, hidden = _followed(batch, further, lengths)
    return shares


def _chances(batch: SlotBatch, hidden: torch.Tensor, paths: Sequence[_Path], tree: Tree) -> list[list[float]]:
    """At the end of each path, the probabilities of the tokens there among themselves."""
    logits = batch.decoder.head(hidden).float()
    return [logits[line, tree.forks[path.fork][1]].softmax(-1).tolist() for line, path in enumerate(paths)]


def _followed(batch: SlotBatch, paths: Sequence[_Path], lengths: Sequence[int]) -> tuple[list[_Path], torch.Tensor]:
    """The paths with the places of their tokens, and what the model has made of the last token of each."""
    import torch

    device, starts = batch.decoder.device, list(batch.cache.lengths)
    placed: list[_Path] = []
    counts = [0] * len(lengths)
    for path in sorted(paths, key=lambda path: path.row):
        first = starts[path.row] + counts[path.row]
        places = list(range(first, first + len(path.tokens)))
        counts[path.row] += len(path.tokens)
        placed.append(_Path(path.row, path.fork, path.tokens, [*path.before, *places], path.reached))
    if not placed:
        return [], torch.empty(0, device=device)
    visible = max(start + count for start, count in zip(starts, counts, strict=True))
    sees = torch.zeros(len(lengths), max(counts), visible, dtype=torch.bool)
    positions: list[int] = []
    ends: list[int] = []
    for path in placed:
        earlier = len(path.before) - len(path.tokens)
        for step in range(len(path.tokens)):
            place = path.before[earlier + step]
            line = sees[path.row, place - starts[path.row]]
            line[: lengths[path.row]] = True
            line[path.before[: earlier + step + 1]] = True
            positions.append(lengths[path.row] + earlier + step)
        ends.append(len(positions) - 1)
    layout = batch.cache.laid_out(0, counts, torch.tensor(positions), sees)
    ids = torch.tensor([token for path in placed for token in path.tokens], device=device)
    hidden = batch.decoder.hidden(ids, layout, batch.cache, batch.deltas(layout))
    return placed, hidden[torch.tensor(ends, device=device)]
