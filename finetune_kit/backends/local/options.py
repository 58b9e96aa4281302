"""Training options decided: what is taken where one was left open, and what does not go with an earlier model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from finetune_kit.errors import ParameterError, WeightsError
from finetune_kit.training_options import TrainingOptions

LORA_RANK = 16
ALPHA_OVER_RANK = 2.0
WARMUP_RATIO = 0.06
MAX_GRAD_NORM = 1.0
_CONFIG = "adapter_config.json"


@dataclass(frozen=True, slots=True)
class EarlierAdapter:
    """The LoRA adapter that is trained further."""

    rank: int
    alpha: float
    target_modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """What a training starts from: the base, or the folder of an earlier model of it."""

    folder: Path | None = None
    adapter: EarlierAdapter | None = None
    """What is in that folder; None where it is a whole model."""

    @classmethod
    def of(cls, folder: Path | None) -> Start:
        """A folder as a job leaves it; none stands for the base."""
        if folder is None or not (folder / _CONFIG).is_file():
            return cls(folder)
        try:
            config: Mapping[str, Any] = orjson.loads((folder / _CONFIG).read_bytes())
            modules = tuple(sorted({name.rpartition(".")[2] for name in config["target_modules"]}))
            return cls(folder, EarlierAdapter(int(config["r"]), float(config["lora_alpha"]), modules))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"the adapter in {folder} cannot be read: {error}. Train it again, or start from another model."
            ) from error

    @property
    def whole(self) -> bool:
        """Whether that earlier model was fully fine-tuned."""
        return self.folder is not None and self.adapter is None


def decided_options(asked: TrainingOptions | None, start: Start, *, validated: bool) -> TrainingOptions:
    """The options with a value for each, but for the layers of a new adapter, which are all linear ones if left open.

    `ParameterError` where they do not go with the model that the training starts from.
    """
    given = TrainingOptions() if asked is None else asked
    full = start.whole if given.full_fine_tuning is None else given.full_fine_tuning
    patience = given.early_stopping_patience
    best = given.best_checkpoint
    common = replace(
        given,
        full_fine_tuning=full,
        best_checkpoint=validated and (patience is not None if best is None else best),
        lr_scheduler_type=given.lr_scheduler_type or "cosine",
        warmup_ratio=WARMUP_RATIO if given.warmup_ratio is None else given.warmup_ratio,
        max_grad_norm=MAX_GRAD_NORM if given.max_grad_norm is None else given.max_grad_norm,
    )
    if start.whole:
        _check_whole(given)
    if full:
        return common
    return _with_lora(common, start.adapter)


def _with_lora(common: TrainingOptions, earlier: EarlierAdapter | None) -> TrainingOptions:
    """An adapter that goes on from an earlier one keeps what that had, and may be larger."""
    if earlier is None:
        rank = common.lora_rank or LORA_RANK
        return replace(common, lora_rank=rank, lora_alpha=common.lora_alpha or ALPHA_OVER_RANK * rank)
    rank = common.lora_rank or earlier.rank
    modules = common.lora_target_modules or earlier.target_modules
    if rank < earlier.rank:
        raise ParameterError(
            f"lora_rank={rank}: the model to start from has an adapter of rank {earlier.rank}, which does not fit into "
            "a smaller one. Leave it out, or give at least as much.",
            parameter="lora_rank",
        )
    lost = sorted({*earlier.target_modules} - {*modules})
    if lost:
        raise ParameterError(
            f"lora_target_modules: the model to start from has an adapter on {', '.join(lost)} too. Leave it out, or "
            f"name at least {earlier.target_modules!r}.",
            parameter="lora_target_modules",
        )
    alpha = common.lora_alpha or earlier.alpha / earlier.rank * rank
    return replace(common, lora_rank=rank, lora_alpha=alpha, lora_target_modules=modules)


def _check_whole(given: TrainingOptions) -> None:
    values = {
        "lora_rank": given.lora_rank,
        "lora_alpha": given.lora_alpha,
        "lora_target_modules": given.lora_target_modules,
        "full_fine_tuning": False if given.full_fine_tuning is False else None,
    }
    for name, value in values.items():
        if value is not None:
            raise ParameterError(
                f"{name}={value!r}: the model to start from was fully fine-tuned, and is trained further in the same "
                "way. Leave it out, or give that model's folder as base= and train a LoRA adapter on it.",
                parameter=name,
            )
