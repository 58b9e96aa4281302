"""The best checkpoint is the one that was measured best, and says why."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from finetune_kit.backends import Checkpoint, JobState
from finetune_kit.choosing import best_of, final_checkpoint
from finetune_kit.results import MetricRow, Results


def checkpoint(step: int, **metrics: float) -> Checkpoint:
    return Checkpoint(id=f"c-{step}", name=f"m-{step}", step=step, created_at=datetime.now(UTC), metrics=metrics)


def test_the_lowest_loss_on_the_whole_validation_set_counts() -> None:
    best = best_of(
        [
            checkpoint(10, full_valid_loss=0.5, valid_loss=0.1),
            checkpoint(20, full_valid_loss=0.4, valid_loss=0.9),
            checkpoint(30, full_valid_loss=0.45, valid_loss=0.2),
        ]
    )
    assert (best.name, best.step) == ("m-20", 20)
    assert best.reason == "its loss on the validation set of 0.4000 at step 20 is the best of 3."


def test_the_highest_reward_counts() -> None:
    best = best_of([checkpoint(step, valid_reward_mean=reward) for step, reward in [(1, -1.0), (2, 0.5), (3, 0.25)]])
    assert best.step == 2
    assert "mean reward in validation of 0.5000" in best.reason


def test_of_equals_the_later_one_is_taken() -> None:
    assert best_of([checkpoint(step, valid_loss=0.5) for step in (1, 3, 2)]).step == 3


@pytest.mark.parametrize("unmeasured", [{}, {"valid_loss": -1.0}, {"valid_loss": float("nan")}, {"train_loss": 0.1}])
def test_what_was_not_measured_does_not_count(unmeasured: dict[str, float]) -> None:
    best = best_of([checkpoint(1, valid_loss=0.5), checkpoint(2, valid_loss=0.7), checkpoint(3, **unmeasured)])
    assert best.step == 1
    last = best_of([checkpoint(1, **unmeasured), checkpoint(2, **unmeasured)])
    assert last.step == 2
    assert "the last one is taken" in last.reason


def test_the_final_model_is_one_of_them() -> None:
    state = JobState(id="j", status="succeeded", model="b", created_at=datetime.now(UTC), step=7)
    rows = (MetricRow(4, valid_loss=0.9), MetricRow(8, valid_loss=0.3, valid_reward=0.1), MetricRow(9, train_loss=0.1))
    final = final_checkpoint(state, "m", Results(rows))
    assert (final.name, final.step) == ("m", 9)
    assert final.metrics == {"full_valid_loss": 0.3, "valid_loss": 0.3, "full_valid_mean_reward": 0.1}
    assert final_checkpoint(state, "m", None).step == 7
    assert best_of([checkpoint(4, full_valid_loss=0.9), final]).name == "m"
