"""`TrainingOptions`: how a model is trained beyond what every host can be asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

LearningRateSchedule: TypeAlias = Literal["cosine", "linear", "constant"]
OptionName: TypeAlias = Literal[
    "lora_rank",
    "lora_alpha",
    "lora_target_modules",
    "full_fine_tuning",
    "early_stopping_patience",
    "best_checkpoint",
    "lr_scheduler_type",
    "warmup_ratio",
    "max_grad_norm",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """Settings of LoRA, of the learning rate and of when to stop; None leaves one to the backend.

    `Split.train` checks them, and refuses those that the host does not take. docs/engine.md tells what the engine on
    this machine takes where one is left open.

    >>> options = TrainingOptions(lora_rank=32, early_stopping_patience=2)
    >>> split.train(backend=LocalBackend(), options=options)  # doctest: +SKIP
    """

    lora_rank: int | None = None
    """Of the matrices that are learned beside each layer: a higher one can learn more, and takes more memory."""
    lora_alpha: float | None = None
    """What they say is multiplied by `lora_alpha / lora_rank`."""
    lora_target_modules: tuple[str, ...] | None = None
    """Names of the linear layers that get them, such as `("q_proj", "v_proj")`."""
    full_fine_tuning: bool | None = None
    """Train all weights of the model, without LoRA."""
    early_stopping_patience: int | None = None
    """Stop when the validation loss has not been lower for so many epochs."""
    best_checkpoint: bool | None = None
    """Whether the job's model is that of the epoch with the lowest validation loss, rather than of the last one."""
    lr_scheduler_type: LearningRateSchedule | None = None
    """How the learning rate falls after the warm-up."""
    warmup_ratio: float | None = None
    """The share of all steps in which the learning rate rises from 0."""
    max_grad_norm: float | None = None
    """Gradients that are longer are shortened to this; 0 leaves them as they are."""
