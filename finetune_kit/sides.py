"""The sides of a split, checked together: each by the rules, and that training shares nothing with the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from finetune_kit.changes import RuleCount
from finetune_kit.errors import ParameterError
from finetune_kit.leaks import LeakReport
from finetune_kit.records import CompletionExample, Example, Kind
from finetune_kit.rows import Rows, Source
from finetune_kit.templates import PromptTemplate
from finetune_kit.uploads import SpooledFile
from finetune_kit.validators import (
    LEAK_CODES,
    AnyValidator,
    MinimumExamples,
    Report,
    check_disjoint,
    check_labels,
    validate,
)


@dataclass(frozen=True, slots=True)
class Side:
    """The examples of one side, and where they are from."""

    name: str
    """`training`, `validation` or `test`."""
    rows: Rows
    source: Source
    file: SpooledFile | None = None
    """A file at the backend that holds these rows as they are to be trained on; else one is made of them."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What trains, what is held out, and what cleaning had done to them."""

    training: Side
    held_out: tuple[Side, ...] = ()
    cleaning: tuple[RuleCount, ...] = ()
    template: PromptTemplate | None = None
    """What stood around the rows where they came from and is to stay so; else one is chosen."""

    @property
    def kind(self) -> Kind:
        """Of the training examples."""
        return self.training.rows.kind

    @property
    def validation(self) -> Side | None:
        """What is measured on while the model trains."""
        return next((side for side in self.held_out if side.name == "validation"), None)

    def inspect(
        self, rules: Sequence[AnyValidator], *, held_out: Sequence[AnyValidator] | None = None
    ) -> tuple[Report, LeakReport | None]:
        """The report, and how validation overlaps with training, found in the same look.

        `held_out` are the rules for the other sides; by default the same, but for the number of examples.
        """
        for side in self.held_out:
            if side.rows.kind != self.kind:
                raise ParameterError(
                    f"the training set holds {self.kind} examples and the {side.name} set {side.rows.kind} examples. "
                    "Use one kind for both.",
                    parameter=side.name,
                )
        if held_out is None:
            held_out = [rule for rule in rules if not isinstance(rule, MinimumExamples)]
        report = _checked(self.training, rules)
        leaks: LeakReport | None = None
        for side in self.held_out:
            shared = Report.collect(check_disjoint(self.training.rows, side.rows))
            report = report.merge(_checked(side, held_out)).merge(shared)
            if side.name == "validation":
                leaks = LeakReport.of_counts(
                    {kind: shared.counts.get(code, 0) for kind, code in LEAK_CODES.items()},
                    self.training.rows,
                    side.rows,
                )
        return report, leaks

    def unseen_labels(self) -> Report:
        """Labels that are held out and never trained on, and the like."""
        found = (check_labels(self.training.rows, side.rows) for side in self.held_out)
        return Report.collect(chain.from_iterable(found))

    def choose_template(self) -> PromptTemplate | None:
        """Chosen over all sides, so that none can hold it unnoticed; None for what is no prompt and completion."""
        if self.kind != "completion":
            return None
        if self.template is not None:
            return self.template
        return PromptTemplate.choose(completions(side.rows for side in (self.training, *self.held_out)))


def completions(sets: Iterable[Iterable[Example]]) -> Iterator[CompletionExample]:
    """The prompts and completions of all of these, one behind the other."""
    return (example for example in chain.from_iterable(sets) if isinstance(example, CompletionExample))


def _checked(side: Side, rules: Sequence[AnyValidator]) -> Report:
    return validate(side.rows, rules, source=side.source).named(side.name)
