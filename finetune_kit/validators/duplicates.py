"""Examples that stand in the set more than once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.repeats import repeated_rows
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class Duplicates:
    """An example that repeats another one weighs double in training, mostly by mistake.

    Bad:  two rows `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`
    Good: the same prompt in other words
    """

    code = "duplicate"

    def start(self) -> DuplicatesCheck:
        """Begin a run."""
        return DuplicatesCheck(self.code)


@dataclass(slots=True)
class DuplicatesCheck:
    """Looks at the contents only of rows that ask the same."""

    code: str
    _last: Batch | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        self._last = batch
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example but the first of its equals."""
        if self._last is not None:
            for row, earlier in repeated_rows(self._last.rows):
                yield self._issue(row, earlier)

    def _issue(self, row: int, earlier: int) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            "the example repeats an earlier one",
            row=row,
            related=earlier,
            hint="Drop the later ones, unless they are meant to weigh more.",
            fix="drop the row",
        )
