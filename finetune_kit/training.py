"""The door of `train`: what is asked for is checked against the host and the data, then uploaded and started."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from typing import cast

from finetune_kit._arguments import checked_seed, string
from finetune_kit._limits import checked_hyperparameters, checked_suffix
from finetune_kit.backends import Backend, connect
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.changes import counts_of
from finetune_kit.costs import CostEstimate, check_budget, checked_budget, estimate_cost
from finetune_kit.counts import How
from finetune_kit.errors import ParameterError, ShutdownWarning
from finetune_kit.formats import rendered_lines
from finetune_kit.hosts import FINE_TUNED_PREFIX, Resolved, check_dates
from finetune_kit.job import FineTuneJob
from finetune_kit.labels import closed_labels
from finetune_kit.launching import Order, launch
from finetune_kit.metering import Meter, meter
from finetune_kit.rows import Rows
from finetune_kit.sides import Side, Sides
from finetune_kit.templates import PromptTemplate
from finetune_kit.uploads import SpooledFile
from finetune_kit.validators import AnyValidator, TokenLimit, essential_rules, row_validator

_log = logging.getLogger("finetune_kit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller of `train` asks for, as it was passed: most people run no type checker."""

    model: object
    validators: object
    n_epochs: object
    batch_size: object
    learning_rate_multiplier: object
    prompt_loss_weight: object
    suffix: object
    seed: object
    budget: object


def train(sides: Sides, wanted: Wanted, *, backend: Backend | None) -> FineTuneJob:
    """Check the data, start a fine-tuning job and return without waiting for it; `Split.train` is its public name."""
    if sides.kind == "preference":
        raise ParameterError(
            "these are preference pairs, and no backend here trains on them yet. Write them with Dataset.write for "
            "a host that does (direct preference optimization), or train on the preferred answers as 'messages'.",
            parameter="training",
        )
    place = connect(backend)
    settings = checked_hyperparameters(
        place.profile,
        n_epochs=wanted.n_epochs,
        batch_size=wanted.batch_size,
        learning_rate_multiplier=wanted.learning_rate_multiplier,
        prompt_loss_weight=wanted.prompt_loss_weight,
    )
    name = checked_suffix(place.profile, wanted.suffix)
    chance = checked_seed(wanted.seed) or 0
    model = string("model", wanted.model)
    resolved = place.resolve(model)
    earlier = _earlier(sides, place, resolved)
    base = earlier.base if earlier is not None else resolved.model
    limit = None if wanted.budget is None else checked_budget(wanted.budget)
    for warning in check_dates(place.profile, base):
        warnings.warn(ShutdownWarning(warning, model=base), stacklevel=3)
    template = sides.choose_template() if earlier is None else earlier.template
    checks = (
        *essential_rules(place.profile),
        *as_rules(wanted.validators),
        *_template_rules(earlier),
        *_length_rules(sides, place, base, template),
    )
    report, leaks = sides.inspect(checks)
    report.raise_if_errors()
    if limit is not None and not place.profile.free_of_charge:
        _check_budget(limit, sides.training.rows, meter(base, sides.kind, backend=place), template, settings)
    card = ModelCard(
        base=base,
        requested_model=model,
        backend=place.profile.name,
        kind=sides.kind,
        template=template,
        labels=closed_labels(sides.training.rows),
        hyperparameters=settings,
        seed=chance,
        leak_report=leaks.summary() if leaks is not None else "",
        cleaning=dict(counts_of(sides.cleaning)),
    )
    with ExitStack() as spooled:
        files = [
            spooled.enter_context(_spooled(place, side, template))
            for side in (sides.training, sides.validation)
            if side is not None
        ]
        order = Order(
            model=resolved,
            card=card,
            training=files[0],
            validation=files[1] if len(files) > 1 else None,
            hyperparameters=settings,
            suffix=name,
            seed=chance,
        )
        job = FineTuneJob(launch(order, place), place)
    _log.info("%s is %s on %r.", job.id, job.state.status, place)
    return job


def as_rules(validators: object) -> tuple[AnyValidator, ...]:
    """The rules that a user passes as `validators=`."""
    if validators is None:
        return ()
    # Most people run no type checker, and a single rule is easily passed as it is.
    if not isinstance(validators, Iterable):
        raise ParameterError(f"{validators!r} is not a list of rules. Put it into one.", parameter="validators")
    return tuple(cast("Iterable[AnyValidator]", validators))


def _earlier(sides: Sides, place: Backend, resolved: Resolved) -> ModelCard | None:
    """The card of the fine-tuned model that is trained further, if it is one."""
    if not resolved.model.startswith(FINE_TUNED_PREFIX):
        return None
    earlier = place.card(resolved.model)
    if earlier.kind != sides.kind:
        raise ParameterError(
            f"{earlier.name} learned from {earlier.kind} examples; these are {sides.kind} examples. "
            "Convert them, or start from a base model.",
            parameter="model",
        )
    return earlier


def _template_rules(earlier: ModelCard | None) -> Iterator[AnyValidator]:
    """The data must fit the template that a model already has."""
    if earlier is not None and earlier.template is not None:
        hint = "Change the text, or start from a base model: then a template is chosen that fits."
        yield row_validator("template", hint=hint)(earlier.template.misfit)


def _length_rules(sides: Sides, place: Backend, base: str, template: PromptTemplate | None) -> Iterator[AnyValidator]:
    """The limit of each example, counted as this backend counts; loaded when an example comes near it."""
    rule = TokenLimit.of(place.profile, base)
    if rule is not None:
        tokens = cache(lambda: meter(base, sides.kind, backend=place).tokens)
        yield replace(rule, tokens=tokens, template=template)


def _check_budget(
    budget: float, rows: Rows, found: Meter, template: PromptTemplate | None, settings: Hyperparameters
) -> None:
    """A sample first; where its interval leaves it open, in full."""

    def estimated(how: How) -> CostEstimate:
        counts = found.count(rows, template, how)
        return estimate_cost(found.profile, found.model, counts, n_epochs=settings.n_epochs)

    estimate = estimated("auto")
    total = estimate.total
    if total is not None and total.low <= budget < total.high:
        estimate = estimated("exact")
    check_budget(estimate, budget)


def _spooled(place: Backend, side: Side, template: PromptTemplate | None) -> SpooledFile:
    mark = place.profile.byte_order_mark
    return SpooledFile.of(rendered_lines(side.rows, template), filename=f"{side.name}.jsonl", byte_order_mark=mark)
