"""Which of a job's models is the best one, by what was measured while it was trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from finetune_kit.backends import Checkpoint, JobState
from finetune_kit.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class BestCheckpoint(Checkpoint):
    """A checkpoint, or the final model, and why it is taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Measure:
    """A number by which models can be compared: the better, the smaller `worth` is."""

    keys: tuple[str, ...]
    words: str
    worth: Callable[[float], float]


_MEASURES = (
    _Measure(("full_valid_loss",), "loss on the validation set", lambda loss: loss),
    _Measure(("full_valid_mean_reward", "valid_reward_mean"), "mean reward in validation", lambda reward: -reward),
    _Measure(("valid_loss", "full_valid_loss"), "validation loss", lambda loss: loss),
)


def final_checkpoint(state: JobState, name: str, results: Results | None) -> Checkpoint:
    """The final model like a checkpoint, with the last numbers that were measured."""
    metrics: dict[str, float] = {}
    rows = results.metrics if results is not None else ()
    for row in rows:
        if row.valid_loss is not None:
            metrics["full_valid_loss"] = metrics["valid_loss"] = row.valid_loss
        if row.valid_reward is not None:
            metrics["full_valid_mean_reward"] = row.valid_reward
    return Checkpoint(
        id=state.id,
        name=name,
        step=rows[-1].step if rows else max(state.step or 0, 0),
        created_at=state.finished_at or state.created_at,
        metrics=metrics,
    )


def best_of(candidates: Sequence[Checkpoint]) -> BestCheckpoint:
    """The one that was measured best, the latest of equals; the last one, where nothing was measured."""
    for measure in _MEASURES:
        measured = [(value, one) for one in candidates if (value := _value(one, measure.keys)) is not None]
        if len(measured) >= 2 or (measured and len(candidates) == 1):
            value, best = min(measured, key=lambda pair: (measure.worth(pair[0]), -pair[1].step))
            others = f"the best of {len(measured)}" if len(measured) > 1 else "the only one"
            return _with(best, f"its {measure.words} of {value:.4f} at step {best.step} is {others}.")
    last = max(candidates, key=lambda one: one.step)
    return _with(last, f"nothing tells how good the {len(candidates)} models are in validation: the last one is taken.")


def _value(checkpoint: Checkpoint, keys: Sequence[str]) -> float | None:
    for key in keys:
        value = checkpoint.metrics.get(key)
        if value is not None and math.isfinite(value) and (value != -1 or "reward" in key):
            return value
    return None


def _with(checkpoint: Checkpoint, reason: str) -> BestCheckpoint:
    return BestCheckpoint(
        id=checkpoint.id,
        name=checkpoint.name,
        step=checkpoint.step,
        created_at=checkpoint.created_at,
        metrics=checkpoint.metrics,
        reason=reason,
    )
