"""Whether a classification can be measured as asked: which classes there are is read off the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from finetune_kit._arguments import number, string, whole_number
from finetune_kit._limits import checked_flag
from finetune_kit._quoting import quoted, shown
from finetune_kit.cards import ClassificationSettings
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import Method
from finetune_kit.records import ChatExample, CompletionExample, Example
from finetune_kit.rows import Rows

_LABELS_SHOWN = 5
_Parameter = Literal["n_classes", "positive_class", "betas"]


@dataclass(frozen=True, slots=True)
class AskedClasses:
    """What is to be measured, before the data were looked at."""

    n_classes: int | None
    positive_class: str | None
    betas: tuple[float, ...]

    def of(self, training: Rows, validation: Rows) -> tuple[tuple[str, ...], ClassificationSettings]:
        """The classes that the training set has, and what to measure.

        `ParameterError` says what to pass, with the classes of both sets.
        """
        trained, held_out = labels_of(training, "training"), labels_of(validation, "validation")
        labels = tuple(sorted({*trained, *held_out}))
        if len(trained) < 2:
            raise _error(f"the training set has one label, {quoted(labels[0])}: there is nothing to tell apart.")
        if len(labels) == 2:
            self._check_two(labels)
        else:
            self._check_several(labels)
        return trained, ClassificationSettings(
            n_classes=len(labels), positive_class=self.positive_class, betas=self.betas
        )

    def _check_two(self, labels: Sequence[str]) -> None:
        if self.n_classes not in (None, 2):
            raise _error(
                f"classification_n_classes={shown(self.n_classes)}: this set has 2 labels, {_listed(labels)}: pass "
                f"classification_positive_class={labels[0]!r}, or the other one.",
                "n_classes",
            )
        if self.positive_class is None:
            raise _error(
                f"this set has 2 labels, {_listed(labels)}: pass the one that counts as found, such as "
                f"classification_positive_class={labels[0]!r}.",
                "positive_class",
            )
        if self.positive_class not in labels:
            raise _error(
                f"classification_positive_class={quoted(self.positive_class)} is no label of this set. Pass one of "
                f"{_listed(labels)}.",
                "positive_class",
            )

    def _check_several(self, labels: Sequence[str]) -> None:
        what = f"this set has {len(labels)} labels, {_listed(labels)}"
        instead = f"pass classification_n_classes={len(labels)}"
        if self.positive_class is not None:
            raise _error(
                f"classification_positive_class={quoted(self.positive_class)} is for two classes; {what}: {instead} "
                "instead.",
                "positive_class",
            )
        if self.betas:
            raise _error(f"classification_betas are for two classes; {what}: leave them out.", "betas")
        if self.n_classes is None:
            raise _error(f"{what}: {instead}.", "n_classes")
        if self.n_classes != len(labels):
            raise _error(f"classification_n_classes={shown(self.n_classes)}, but {what}: {instead}.", "n_classes")


def asked_classes(
    *, compute: object, n_classes: object, positive_class: object, betas: object, method: Method, validated: bool
) -> AskedClasses | None:
    """What is to be measured as far as it can be checked without the data; None where nothing is."""
    given = {"n_classes": n_classes, "positive_class": positive_class, "betas": betas}
    if not checked_flag("compute_classification_metrics", compute):
        for name, value in given.items():
            if value is not None:
                raise ParameterError(
                    f"classification_{name}={shown(value)} has no effect without compute_classification_metrics=True. "
                    "Pass both, or neither.",
                    parameter=f"classification_{name}",
                )
        return None
    if method != "supervised":
        raise _error(f"a model that learns by {method!r} gives no labels. Leave compute_classification_metrics out.")
    if not validated:
        raise _error(
            "compute_classification_metrics=True needs a validation set to measure on: split the data, such as "
            "data.split(0.8)."
        )
    return AskedClasses(
        n_classes=None if n_classes is None else whole_number("classification_n_classes", n_classes, 2),
        positive_class=None if positive_class is None else string("classification_positive_class", positive_class),
        betas=() if betas is None else _betas(betas),
    )


def _betas(values: object) -> tuple[float, ...]:
    name = "classification_betas"
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(
            f"{name}={shown(values)}: give a list of numbers above 0, such as [0.5, 2].", parameter=name
        )
    betas = tuple(_beta(f"{name}[{place}]", value) for place, value in enumerate(cast("Iterable[object]", values)))
    return tuple(dict.fromkeys(betas))


def _beta(name: str, value: object) -> float:
    try:
        beta = number(name, value, math.ulp(0.0), 1e6)
    except ParameterError as error:
        raise ParameterError(
            f"{name}={shown(value)}: give a number above 0, up to 1,000,000; the larger, the more recall weighs.",
            parameter="classification_betas",
        ) from error
    return beta


def labels_of(rows: Rows, side: str) -> tuple[str, ...]:
    """What is answered in these examples, sorted; `ParameterError` where an answer is no text."""
    return tuple(sorted({_label(example, f"{side} row {row + 1}") for row, example in enumerate(rows)}))


def _label(example: Example, where: str) -> str:
    if isinstance(example, CompletionExample):
        return example.completion
    last = example.messages[-1] if isinstance(example, ChatExample) and example.messages else None
    if last is None or last.role != "assistant" or not isinstance(last.content, str) or not last.content:
        raise _error(
            f"{where} does not end with the assistant saying a label, so that there is nothing to measure. Leave "
            "compute_classification_metrics out, or end each conversation with the label."
        )
    return last.content


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(map(quoted, labels[:_LABELS_SHOWN]))
    return shown if len(labels) <= _LABELS_SHOWN else f"{shown} and {len(labels) - _LABELS_SHOWN:,} more"


def _error(message: str, parameter: _Parameter | None = None) -> ParameterError:
    name = "compute_classification_metrics" if parameter is None else f"classification_{parameter}"
    return ParameterError(message, parameter=name)
