"""What the conformance suite tries a rule with: sets of examples, cut into batches in different ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from finetune_kit.readers import read_records
from finetune_kit.rows import Rows
from finetune_kit.testing.trial import promise
from finetune_kit.validators import AnyValidator, Issue, SetValidator, Validator

BATCH_SIZES = (1, 2, 7, 256)


@dataclass(frozen=True, slots=True)
class Case:
    """Examples that are checked together."""

    name: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class ValidatorTrial:
    """A rule on trial."""

    validator: AnyValidator
    bad: Sequence[Case]
    good: Sequence[Case]

    @property
    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (*self.bad, *self.good)

    def found(self, rows: Rows, size: int = 256) -> list[Issue]:
        """What the rule says of the rows, seen `size` at a time."""
        return issues_of(self.validator, rows, size)


def issues_of(validator: AnyValidator, rows: Rows, size: int = 256) -> list[Issue]:
    """What a rule says of the rows, seen `size` at a time."""
    batches = rows.batches(size)
    if isinstance(validator, Validator):
        return [issue for batch in batches for issue in _as_issues(validator.check(batch))]
    run = validator.start()
    found = [issue for batch in batches for issue in _as_issues(run.see(batch))]
    return found + _as_issues(run.finish())


def _as_issues(found: Iterable[object]) -> list[Issue]:
    issues = list(found)
    odd = next((issue for issue in issues if not isinstance(issue, Issue)), None)
    promise(odd is None, f"it gives {type(odd).__name__} where it should give Issue objects.")
    return cast("list[Issue]", issues)


def case_of(name: str, records: object) -> Case:
    """A list is a set of examples; anything else is one example."""
    several = cast("list[object]", records) if isinstance(records, list) else [records]
    result = read_records(several)
    told = "; ".join(f"{refusal.reason}" for refusal in result.source.refusals)
    promise(not result.source.rows_refused, f"{name} cannot be read as examples: {told}.")
    return Case(name, result.rows)


def is_rule(validator: object) -> bool:
    """Whether it is a rule, and not a class of rules."""
    return isinstance(validator, Validator | SetValidator) and not isinstance(validator, type)
