"""Rows that a rule finds fault with, whichever rule that is."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

from finetune_kit.errors import ParameterError
from finetune_kit.rows import Rows
from finetune_kit.validators import AnyValidator, Issue, SetValidator, Validator


@dataclass(frozen=True, slots=True)
class DropFlagged:
    """Rows that the rule names are dropped, such as those of `NearDuplicates()` or of a rule of your own."""

    rule: AnyValidator

    safe = False
    description = "drop the rows that the rule names"

    def __post_init__(self) -> None:
        rule = cast("object", self.rule)  # most people run no type checker
        if not isinstance(rule, Validator | SetValidator) or isinstance(rule, type):
            raise ParameterError(f"{self.rule!r} is not a rule. Pass one such as NearDuplicates().", parameter="rule")

    @property
    def code(self) -> str:
        """The rule's own."""
        return self.rule.code

    def plan(self, rows: Rows) -> Iterator[tuple[int, None]]:
        """Each row that it names; what a rule raises is not caught here."""
        flagged = array("Q")
        for issue in _findings(self.rule, rows):
            if issue.row is not None:
                flagged.append(issue.row)
        return ((row, None) for row in sorted(set(flagged)))


def _findings(rule: AnyValidator, rows: Rows) -> Iterator[Issue]:
    if isinstance(rule, Validator):
        for batch in rows.batches():
            yield from rule.check(batch)
        return
    check = rule.start()
    for batch in rows.batches():
        found: Iterable[Issue] = check.see(batch)
        yield from found
    yield from check.finish()
