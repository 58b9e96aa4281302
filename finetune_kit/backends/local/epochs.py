"""The models of a job's epochs: which is the best, which are kept, and when there is no use in going on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

KEPT_CHECKPOINTS = 3
"""Of the last epochs, as the hosted API keeps them."""


def best_step(losses: Mapping[int, float]) -> int | None:
    """Of validation losses by step, where it is lowest, the latest of equals; None where none was measured."""
    measured = [step for step, loss in losses.items() if math.isfinite(loss)]
    return min(measured, key=lambda step: (losses[step], -step), default=None)


def patience_is_over(best: int | None, step: int, *, steps_per_epoch: int, patience: int | None) -> bool:
    """Whether so many epochs have ended since the best one, at the end of the epoch whose last step is `step`."""
    return patience is not None and step - (best or 0) >= patience * steps_per_epoch


def dropped(steps: Sequence[int], *, best: int | None) -> list[int]:
    """Of the steps with a checkpoint, in order, those that go: all but the last ones and the best."""
    return [step for step in steps[:-KEPT_CHECKPOINTS] if step != best]
