"""Training options at the door of `train`: in their ranges, together, and by host."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finetune_kit import Dataset, TrainingOptions
from finetune_kit._options import checked_options
from finetune_kit.cards import Hyperparameters
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import host_profile
from finetune_kit.testing import MemoryBackend
from tests.hosts_of import LikeHost
from tests.rows_of import PAIRS

LOCAL = host_profile("local")
SPLIT = Dataset.from_records(PAIRS).split(0.8)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lora_rank": 0}, "lora_rank=0: give a whole number from 1 to 512"),
        ({"lora_rank": 8.0}, "lora_rank=8.0"),
        ({"lora_rank": True}, "lora_rank=True"),
        ({"lora_alpha": 0}, "lora_alpha=0: nothing would be learned"),
        ({"lora_alpha": float("nan")}, "lora_alpha=nan"),
        ({"lora_target_modules": "all-linear"}, "lora_target_modules='all-linear': give 1 to 256 names"),
        ({"lora_target_modules": ()}, r"lora_target_modules=\(\): give 1"),
        ({"lora_target_modules": ("q_proj", 5)}, "give 1 to 256 names"),
        ({"lora_target_modules": ("a", "a")}, "names 'a' twice"),
        ({"full_fine_tuning": "yes"}, "full_fine_tuning='yes': give True or False"),
        ({"early_stopping_patience": 0}, "early_stopping_patience=0"),
        ({"best_checkpoint": 1}, "best_checkpoint=1: give True or False"),
        ({"lr_scheduler_type": "step"}, "is not known; there are 'cosine', 'linear', 'constant'"),
        ({"lr_scheduler_type": []}, r"lr_scheduler_type=\[\]"),
        ({"warmup_ratio": 1.1}, "warmup_ratio=1.1: give a number from 0 to 1"),
        ({"max_grad_norm": -1}, "max_grad_norm=-1"),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message) as raised:
        SPLIT.train("davinci", backend=MemoryBackend(), options=TrainingOptions(**given))
    assert raised.value.parameter == next(iter(given))


@pytest.mark.parametrize("options", ["lora", {"lora_rank": 8}, 5])
def test_options_are_training_options(options: Any) -> None:
    with pytest.raises(ParameterError, match=r"give TrainingOptions\(\.\.\.\)"):
        SPLIT.train("davinci", backend=MemoryBackend(), options=options)


def test_lora_does_not_go_with_full_fine_tuning() -> None:
    with pytest.raises(ParameterError, match="lora_rank=8 belongs to LoRA, which full_fine_tuning=True trains without"):
        checked_options(LOCAL, TrainingOptions(lora_rank=8, full_fine_tuning=True), validated=True)


@pytest.mark.parametrize("given", [{"early_stopping_patience": 2}, {"best_checkpoint": True}])
def test_what_is_measured_by_a_validation_set_needs_one(given: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="needs a validation set"):
        checked_options(LOCAL, TrainingOptions(**given), validated=False)
    assert checked_options(LOCAL, TrainingOptions(**given), validated=True) == TrainingOptions(**given)


def test_a_host_that_takes_none_refuses_each_by_its_name() -> None:
    backend = LikeHost("openai")
    with pytest.raises(ParameterError, match=r"lora_rank=8: 'openai' is not known to take any .* LocalBackend\(\)"):
        SPLIT.train("gpt-4.1-mini-2025-04-14", backend=backend, options=TrainingOptions(lora_rank=8))
    assert backend.untouched


def test_a_host_that_takes_some_says_which() -> None:
    some = LOCAL.model_copy(update={"training_options": ("lora_rank", "lora_alpha")})
    with pytest.raises(ParameterError, match="known to take lora_rank, lora_alpha alone"):
        checked_options(some, TrainingOptions(lora_rank=8, warmup_ratio=0.1), validated=True)
    assert checked_options(some, TrainingOptions(lora_rank=8), validated=True) == TrainingOptions(lora_rank=8)


def test_options_without_a_value_are_none() -> None:
    assert checked_options(host_profile("openai"), TrainingOptions(), validated=True) is None


def test_a_card_keeps_options() -> None:
    settings = Hyperparameters(options=TrainingOptions(lora_rank=8, lora_target_modules=("q_proj",)))
    assert Hyperparameters.model_validate_json(settings.model_dump_json()) == settings
    assert json.loads(Hyperparameters().model_dump_json())["options"] is None
