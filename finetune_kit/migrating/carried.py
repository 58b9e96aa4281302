"""Which settings of an old job go along to a new host, and what is told of those that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar

from finetune_kit._limits import checked_hyperparameters, checked_loss_weight, checked_seed, checked_suffix
from finetune_kit.archiving import Data, JobFacts
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import HostProfile, Method
from finetune_kit.training import Wanted
from finetune_kit.training_options import TrainingOptions

T = TypeVar("T")
_USUAL_EPOCHS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the caller of `migrate` asks for; None where the old job's setting goes along."""

    model: str | None = None
    n_epochs: int | None = None
    batch_size: int | None = None
    learning_rate_multiplier: float | None = None
    prompt_loss_weight: float | None = None
    beta: float | None = None
    options: TrainingOptions | None = None
    suffix: str | None = None
    seed: int | None = None
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class Carried:
    """What is asked of the new host, and what is told of it."""

    wanted: Wanted
    notes: tuple[str, ...]


def carried(
    old: JobFacts, card: ModelCard | None, data: Data, given: Given, *, model: str, profile: HostProfile
) -> Carried:
    """The old job's settings as far as the new host takes them, with the caller's own over them."""
    method = _method(card, data)
    bags = _Bags(profile, method, plain=data.template is not None)
    settings = card.hyperparameters if card is not None else Hyperparameters()
    epochs = bags.take("n_epochs", given.n_epochs, settings.n_epochs, bags.number("n_epochs"))
    weight = settings.prompt_loss_weight if method == "supervised" else None
    beta = settings.beta if method == "dpo" else None
    classes = card.classification if card is not None and data.validation is not None else None
    wanted = Wanted(
        model=model,
        n_epochs=_USUAL_EPOCHS if epochs is None else epochs,
        batch_size=bags.leave("batch_size", given.batch_size, settings.batch_size),
        learning_rate_multiplier=bags.leave(
            "learning_rate_multiplier", given.learning_rate_multiplier, settings.learning_rate_multiplier
        ),
        prompt_loss_weight=bags.take("prompt_loss_weight", given.prompt_loss_weight, weight, bags.loss_weight),
        compute_classification_metrics=classes is not None,
        classification_n_classes=None if classes is None else classes.n_classes,
        classification_positive_class=None if classes is None else classes.positive_class,
        classification_betas=None if classes is None else classes.betas or None,
        suffix=bags.take("suffix", given.suffix, old.suffix, lambda value: checked_suffix(profile, value)),
        method=method,
        beta=bags.take("beta", given.beta, beta, bags.number("beta")),
        options=bags.leave("options", given.options, settings.options),
        seed=bags.take("seed", given.seed, old.seed, lambda value: checked_seed(profile, value)),
        budget=given.budget,
    )
    if card is not None and old.model != card.base:
        bags.notes.append(
            f"the old job trained {old.model} further: what that had learned before is not in these data. Migrate that "
            "model first, and pass the new one as model=."
        )
    return Carried(wanted, tuple(bags.notes))


class _Bags:
    """Settings on their way; what stays behind is noted."""

    def __init__(self, profile: HostProfile, method: Method, *, plain: bool) -> None:
        self._profile, self._plain = profile, plain
        self._method: Method = method
        self.notes: list[str] = []

    def take(self, name: str, own: T | None, old: T | None, check: Callable[[object], object]) -> T | None:
        """The caller's own, else the old job's where the new host takes it."""
        if own is not None or old is None:
            return own
        try:
            check(old)
        except ParameterError as error:
            self.notes.append(f"{name}={old!r} of the old job does not go along: {error}")
            return None
        return old

    def leave(self, name: str, own: T | None, old: T | None) -> T | None:
        """The caller's own; the old one's was chosen for another model."""
        if own is None and old is not None:
            self.notes.append(
                f"{name}={old!r} suited the old model and is left to the new host; pass {name}= to set it."
            )
        return own

    def number(self, name: Literal["n_epochs", "beta"]) -> Callable[[object], object]:
        """A check for one of the hyperparameters."""
        return lambda value: checked_hyperparameters(
            self._profile,
            method=self._method,
            n_epochs=value if name == "n_epochs" else _USUAL_EPOCHS,
            batch_size=None,
            learning_rate_multiplier=None,
            prompt_loss_weight=None,
            beta=value if name == "beta" else None,
        )

    def loss_weight(self, value: object) -> None:
        """A check for the loss weight of prompts."""
        checked_loss_weight(self._profile, value if isinstance(value, float) else None, conversations=not self._plain)


def _method(card: ModelCard | None, data: Data) -> Method:
    """The data tell pairs from the rest; what was trained by a grader is not trained by answers."""
    if data.training is not None and data.training.rows.kind == "preference":
        return "dpo"
    told = card.method if card is not None else "supervised"
    return "supervised" if told == "dpo" else told
