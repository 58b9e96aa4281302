"""What a validation set shares with its training set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from finetune_kit._around import same_inside
from finetune_kit.near import near_across, searched_by_default
from finetune_kit.rows import Rows


class LeakKind(StrEnum):
    """How much a validation example is like one of training; the first that fits."""

    EXACT = "exact"
    """The example is equal."""
    PROMPT = "prompt"
    """The prompt is equal, but for letter case and white space."""
    TEMPLATE = "template"
    """The prompt is equal once what a side's prompts have in common, such as a separator, is taken off."""
    NEAR = "near"
    """The prompt is nearly the same: see `finetune_kit.near`."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A validation example that the model also meets in training; both are indices into their own data set."""

    training: int
    validation: int
    kind: LeakKind


def find_leaks(training: Rows, validation: Rows, *, near: bool | None = None) -> Iterator[Leak]:
    """The leaked validation examples in their order, each once, with a training example that it repeats.

    Nearly the same prompts are looked for with `near=True`; None: where both sides together have up to 20,000 rows and
    16 MB.
    """
    shared = set(validation.row_keys())
    asked: dict[int, int] = {}
    equal: dict[bytes, int] = {}
    for row, key in enumerate(training.row_keys()):
        if key in shared:
            asked.setdefault(key, row)
            equal.setdefault(training.digest(row), row)
    shared.clear()
    in_template = same_inside(training, validation)
    alike = _near(training, validation, near=near)
    if not asked and not in_template and not alike:
        return
    for row, key in enumerate(validation.row_keys()):
        if key in asked:
            earlier = equal.get(validation.digest(row))
            kind = LeakKind.PROMPT if earlier is None else LeakKind.EXACT
            yield Leak(asked[key] if earlier is None else earlier, row, kind)
        elif row in in_template:
            yield Leak(in_template[row], row, LeakKind.TEMPLATE)
        elif row in alike:
            yield Leak(alike[row], row, LeakKind.NEAR)


def _near(training: Rows, validation: Rows, *, near: bool | None) -> dict[int, int]:
    if near is False or (near is None and not searched_by_default(training, validation)):
        return {}
    return {row: earlier for row, earlier, _ in near_across(training, validation)}


@dataclass(frozen=True, slots=True)
class LeakReport:
    """How much of a validation set the model has met in training; it belongs beside every score."""

    exact: int
    """Validation examples that are also training examples."""
    shared_prompts: int
    """Validation examples of which only the prompt is in the training set."""
    validation_rows: int
    template: int = 0
    """Validation examples whose prompt is in the training set once the text around the prompts is taken off."""
    near: int | None = None
    """Validation examples that ask nearly the same as a training example; None where that was not looked for."""

    @classmethod
    def of_counts(
        cls, counts: Mapping[LeakKind, int], training: Rows, validation: Rows, *, near: bool | None = None
    ) -> LeakReport:
        """The report of leaks that were found, and counted, before; `near` as it was given then."""
        searched = searched_by_default(training, validation) if near is None else near
        return cls(
            exact=counts[LeakKind.EXACT],
            shared_prompts=counts[LeakKind.PROMPT],
            validation_rows=len(validation),
            template=counts[LeakKind.TEMPLATE],
            near=counts[LeakKind.NEAR] if searched else None,
        )

    @property
    def ok(self) -> bool:
        """Whether no example and no prompt is shared; what is `near` is a matter of degree, and yours to judge."""
        return not (self.exact or self.shared_prompts or self.template)

    def summary(self) -> str:
        """A sentence or two."""
        told = "Training and validation share no example and no prompt."
        if self.exact or self.shared_prompts:
            told = (
                f"Of {self.validation_rows:,} validation examples, {self.exact:,} are also training examples, "
                f"and {self.shared_prompts:,} more have the prompt of one."
            )
        of_them = "more" if self.exact or self.shared_prompts else f"of {self.validation_rows:,} validation examples"
        if self.template:
            told += f" {self.template:,} {of_them} have the prompt of one but for the text around it."
        if self.near:
            told += f" {self.near:,} {of_them} ask nearly the same as one."
        return told if self.near is not None else f"{told} Nearly the same prompts were not looked for."


def leak_report(training: Rows, validation: Rows, *, near: bool | None = None) -> LeakReport:
    """Count what the two sides share; `near` as in `find_leaks`."""
    counts = Counter(leak.kind for leak in find_leaks(training, validation, near=near))
    return LeakReport.of_counts(counts, training, validation, near=near)
