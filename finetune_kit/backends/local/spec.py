"""A job's specification as it stands in the database, and the rules for what the user left open."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.hosts import Method
from finetune_kit.training_options import TrainingOptions

AUTO_LEARNING_RATE_MULTIPLIER = 0.1
AUTO_PROMPT_LOSS_WEIGHT = 0.01
AUTO_PREFERENCE_MULTIPLIER = 0.01
"""Preference pairs want smaller steps: what the model knew already is easily lost."""
AUTO_FULL_SHARE = 0.02
"""Of the multiplier for LoRA, where all weights are trained: each of them moves, so that each moves less."""
AUTO_BETA = 0.1
SMALL_BATCH, LARGE_BATCH = 8, 256


class StoredSpec(BaseModel):
    """Everything that a worker, in another process, needs to know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    token: str = ""
    """Tells this job from all others."""
    metadata: dict[str, str] = Field(default_factory=dict[str, str])
    base: str
    """Base model to load: an embedded one's name, a folder, or a Hugging Face id."""
    start_from: str | None = None
    """A fine-tuned model whose adapter is trained further."""
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters
    suffix: str | None = None
    seed: int = 0
    device: str | None = None
    method: Method = "supervised"
    card: ModelCard


def decided(
    hyperparameters: Hyperparameters, *, examples: int, options: TrainingOptions, method: Method = "supervised"
) -> Hyperparameters:
    """`hyperparameters` with a value for everything that was left open; `options` are decided already.

    The batch is 0.2 % of the examples, at most 256, as the hosted API had it, but at least 8: smaller ones leave the
    processor's matrix units idle and gain nothing in accuracy.
    """
    batch_size = hyperparameters.batch_size
    if batch_size is None:
        batch_size = min(LARGE_BATCH, max(SMALL_BATCH, round(0.002 * examples)))
    share = AUTO_FULL_SHARE if options.full_fine_tuning else 1.0
    multiplier = hyperparameters.learning_rate_multiplier
    if method == "dpo":
        return Hyperparameters(
            n_epochs=hyperparameters.n_epochs,
            batch_size=batch_size,
            learning_rate_multiplier=share * AUTO_PREFERENCE_MULTIPLIER if multiplier is None else multiplier,
            beta=AUTO_BETA if hyperparameters.beta is None else hyperparameters.beta,
            options=options,
        )
    weight = hyperparameters.prompt_loss_weight
    return Hyperparameters(
        n_epochs=hyperparameters.n_epochs,
        batch_size=batch_size,
        learning_rate_multiplier=share * AUTO_LEARNING_RATE_MULTIPLIER if multiplier is None else multiplier,
        prompt_loss_weight=AUTO_PROMPT_LOSS_WEIGHT if weight is None else weight,
        options=options,
    )
