"""The model card: everything that must stay with a fine-tuned model so that nobody calls it wrongly."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from finetune_kit.hosts import Method
from finetune_kit.records import Kind
from finetune_kit.templates import PromptTemplate
from finetune_kit.training_options import TrainingOptions

SCHEMA_VERSION = 1


class DataFingerprint(BaseModel):
    """Which examples a model learned from or was measured on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rows: int
    sha256: str
    """Of the file as it was given to the backend."""


class Hyperparameters(BaseModel):
    """How a model was trained; None means the backend's own rule, which its card then replaces by the value taken."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    n_epochs: int = 4
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    prompt_loss_weight: float | None = None
    beta: float | None = None
    """Of direct preference optimization: how closely the model keeps to its base."""
    options: TrainingOptions | None = None
    """What hosts cannot be asked for; None where nothing was, and none is told."""


class ClassificationSettings(BaseModel):
    """What is measured of a model that tells labels apart; see `finetune_kit.classification`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    n_classes: int = 2
    positive_class: str | None = None
    """Of two classes, the one whose precision and recall are told; None where there are more."""
    betas: tuple[float, ...] = ()
    """For F-beta, of two classes."""


class ModelCard(BaseModel):
    """A model's papers; `ModelClient` obeys them.

    A card without a template belongs to a model that takes chat messages.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA_VERSION
    name: str = ""
    """What to call; empty until the training has succeeded."""
    base: str
    """The model that was really trained."""
    requested_model: str
    """The model that was asked for; differs from `base` where the backend has a stand-in for it."""
    backend: str = "local"
    kind: Kind
    template: PromptTemplate | None = None
    taken_off: PromptTemplate | None = None
    """What stood around prompts and completions in their file, where the model learned from conversations without."""
    labels: tuple[str, ...] = ()
    """The closed set of completions, where the training data looked like a classification, or were said to be one."""
    classification: ClassificationSettings | None = None
    """What `train` was asked to measure on the validation set; None where it was not."""
    training: DataFingerprint | None = None
    validation: DataFingerprint | None = None
    hyperparameters: Hyperparameters = Field(default_factory=Hyperparameters)
    method: Method = "supervised"
    notes: tuple[str, ...] = ()
    """What was done otherwise than asked for, in sentences: another model, another form of the examples."""
    seed: int = 0
    leak_report: str = ""
    """How training and validation data overlap, in words."""
    cleaning: dict[str, int] = Field(default_factory=dict[str, int])
    """How many examples each rule of `clean` had changed or dropped before they were split, by its code."""
    job_id: str = ""
    created_at: datetime | None = None
    scores: dict[str, float] = Field(default_factory=dict[str, float])
    """The last losses and accuracies that the training measured."""
    versions: dict[str, str] = Field(default_factory=dict[str, str])
    """Library versions that made the model."""
