"""The door of `train`: what is asked for is checked against the host and the data, then uploaded and started."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate, takewhile
from typing import cast

from finetune_kit._arguments import string
from finetune_kit._classes import AskedClasses, asked_classes
from finetune_kit._form import Form
from finetune_kit._limits import (
    checked_batch,
    checked_flag,
    checked_hyperparameters,
    checked_loss_weight,
    checked_metadata,
    checked_method,
    checked_seed,
    checked_suffix,
)
from finetune_kit._options import checked_options
from finetune_kit._quoting import shown
from finetune_kit._warning import warn_user
from finetune_kit.backends import Backend, JobState, connect
from finetune_kit.cards import ClassificationSettings, Hyperparameters, ModelCard
from finetune_kit.changes import counts_of
from finetune_kit.costs import CostEstimate, check_budget, checked_budget, estimate_cost
from finetune_kit.counts import How
from finetune_kit.errors import FileTooLargeError, ParameterError, ShutdownWarning
from finetune_kit.formats import rendered_lines
from finetune_kit.hosts import HostProfile, Method, check_dates
from finetune_kit.labels import closed_labels
from finetune_kit.launching import Order, launch
from finetune_kit.metering import Meter, meter
from finetune_kit.rows import Rows
from finetune_kit.sides import Side, Sides
from finetune_kit.templates import PromptTemplate
from finetune_kit.uploads import SpooledFile
from finetune_kit.validators import AnyValidator, TokenLimit, essential_rules

_log = logging.getLogger("finetune_kit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller of `train` asks for, as it was passed: most people run no type checker."""

    model: object
    validators: object = None
    n_epochs: object = 4
    batch_size: object = None
    learning_rate_multiplier: object = None
    prompt_loss_weight: object = None
    compute_classification_metrics: object = False
    classification_n_classes: object = None
    classification_positive_class: object = None
    classification_betas: object = None
    suffix: object = None
    check_if_files_exist: object = True
    method: object = "supervised"
    beta: object = None
    options: object = None
    seed: object = None
    metadata: object = None
    budget: object = None


def train(sides: Sides, wanted: Wanted, *, backend: Backend | None) -> tuple[JobState, Backend]:
    """Check the data, start a job and return it, and where it is, without waiting; `Split.train` is its public name."""
    place = connect(backend)
    profile = place.profile
    resolved = place.resolve(string("model", wanted.model))
    base = resolved.base or resolved.model
    method = checked_method(profile, base, wanted.method, sides.kind)
    options = checked_options(profile, wanted.options, validated=sides.validation is not None)
    settings = _hyperparameters(profile, method, wanted).model_copy(update={"options": options})
    suffix, seed = checked_suffix(profile, wanted.suffix), checked_seed(profile, wanted.seed)
    metadata = checked_metadata(profile, wanted.metadata)
    reuse_files = checked_flag("check_if_files_exist", wanted.check_if_files_exist)
    classes = _asked_classes(sides, method, wanted)
    budget = None if wanted.budget is None else checked_budget(wanted.budget)
    rules = as_rules(wanted.validators)
    closes = check_dates(profile, base)
    if closes is not None:
        warn_user(ShutdownWarning(closes, model=base))
    form = Form.of(sides, place, resolved)
    sent_weight = checked_loss_weight(
        profile,
        settings.prompt_loss_weight,
        conversations=form.kind != "completion",
        pairs=form.kind == "preference",
    )
    checks = (*essential_rules(profile), *rules, *form.rules(), *_length_rules(sides, place, base, form.template))
    report, leaks = sides.inspect(checks)
    report.raise_if_errors()
    settings = checked_batch(profile, settings, rows=len(sides.training.rows), validated=sides.validation is not None)
    labels, measured = _labels(sides, classes)
    if budget is not None and not profile.free_of_charge:
        _check_budget(budget, sides.training.rows, meter(base, sides.kind, backend=place), form.template, settings)
    notes = tuple(filter(None, (resolved.note, form.note)))
    for note in notes:
        _log.info("%s", note)
    card = ModelCard(
        base=base,
        requested_model=resolved.requested,
        backend=profile.name,
        kind=form.kind,
        template=form.template,
        taken_off=sides.template if form.template is None else None,
        labels=labels,
        classification=measured,
        hyperparameters=settings,
        method=method,
        notes=notes,
        seed=seed,
        leak_report=leaks.summary() if leaks is not None else "",
        cleaning=dict(counts_of(sides.cleaning)),
    )
    with ExitStack() as spooled:
        training, *validation = (
            spooled.enter_context(_spooled(profile, side, form.template))
            for side in (sides.training, sides.validation)
            if side is not None
        )
        order = Order(
            model=resolved.model_copy(update={"note": " ".join(notes)}),
            card=card,
            training=training,
            validation=validation[0] if validation else None,
            hyperparameters=settings.model_copy(update={"prompt_loss_weight": sent_weight}),
            method=method,
            suffix=suffix,
            seed=seed,
            metadata=metadata,
            reuse_files=reuse_files,
        )
        job = launch(order, place)
    _log.info("%s is %s on %r.", job.id, job.status, place)
    return job, place


def _hyperparameters(profile: HostProfile, method: Method, wanted: Wanted) -> Hyperparameters:
    return checked_hyperparameters(
        profile,
        method=method,
        n_epochs=wanted.n_epochs,
        batch_size=wanted.batch_size,
        learning_rate_multiplier=wanted.learning_rate_multiplier,
        prompt_loss_weight=wanted.prompt_loss_weight,
        beta=wanted.beta,
    )


def _asked_classes(sides: Sides, method: Method, wanted: Wanted) -> AskedClasses | None:
    return asked_classes(
        compute=wanted.compute_classification_metrics,
        n_classes=wanted.classification_n_classes,
        positive_class=wanted.classification_positive_class,
        betas=wanted.classification_betas,
        method=method,
        validated=sides.validation is not None,
    )


def _labels(sides: Sides, classes: AskedClasses | None) -> tuple[tuple[str, ...], ClassificationSettings | None]:
    """The closed set of completions, and what is to be measured of it."""
    if classes is None or sides.validation is None:
        return closed_labels(sides.training.rows), None
    return classes.of(sides.training.rows, sides.validation.rows)


def as_rules(validators: object) -> tuple[AnyValidator, ...]:
    """The rules that a user passes as `validators=`."""
    if validators is None:
        return ()
    # Most people run no type checker, and a single rule is easily passed as it is.
    if not isinstance(validators, Iterable):
        raise ParameterError(f"{shown(validators)} is not a list of rules. Put it into one.", parameter="validators")
    return tuple(cast("Iterable[AnyValidator]", validators))


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


def _spooled(profile: HostProfile, side: Side, template: PromptTemplate | None) -> SpooledFile:
    if side.file is not None and (template is not None or side.rows.kind != "completion"):
        return side.file  # the backend has it already, and it need not become conversations
    lines = rendered_lines(
        side.rows,
        template,
        weights=profile.message_weights,
        preferences=profile.preference_rows,
        row_keys=profile.row_keys,
    )
    file = SpooledFile.of(lines, filename=f"{side.name}.jsonl", byte_order_mark=profile.byte_order_mark)
    most = profile.most_bytes
    if file.size_bytes <= most:
        return file
    with file:
        ends = accumulate((len(line) + 1 for line in file.lines()), initial=3 if profile.byte_order_mark else 0)
        fitting = sum(1 for _ in takewhile(lambda end: end <= most, ends)) - 1
        raise FileTooLargeError(
            f"the {side.name} set would take {file.size_bytes:,} bytes, and {profile.name!r} takes at most {most:,} of "
            f"one file ({profile.as_of}). The first {fitting:,} of its {file.rows:,} rows would fit: train on fewer.",
            size_bytes=file.size_bytes,
            max_bytes=most,
            rows_that_fit=fitting,
        )
