"""Examples that are nearly the same as another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.near import THRESHOLD, Near, checked_threshold, near_pairs, searched_by_default
from finetune_kit.repeats import repeated_rows
from finetune_kit.rows import Batch, Rows
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class NearDuplicates:
    """An example that nearly repeats another one weighs double, and teaches and tests less than it seems to.

    Letter case, white space and punctuation do not count; `finetune_kit.near` says how likeness is measured. Exact
    duplicates are left to `Duplicates`.

    Bad:  `"Where is my parcel, please?"` and `"where is my parcel please"`, with one answer
    Good: `"Where is my parcel, please?"` and `"My order has not come. Can you find it?"`
    """

    threshold: float = THRESHOLD
    """The least similarity of both prompt and completion, from 0.5 to 1."""
    small_sets_only: bool = False
    """Whether sets above 20,000 examples or 16 MB are let pass with a note, as they are by default."""

    code = "near_duplicate"

    def start(self) -> NearDuplicatesCheck:
        """Begin a run."""
        checked_threshold(self.threshold)
        return NearDuplicatesCheck(self)


@dataclass(slots=True)
class NearDuplicatesCheck:
    """Reads all rows again at the end."""

    rule: NearDuplicates
    _rows: Rows | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        self._rows = batch.rows
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example that resembles an earlier one."""
        if self._rows is None:
            return
        if self.rule.small_sets_only and not searched_by_default(self._rows):
            yield Issue(
                self.rule.code,
                Severity.INFO,
                "near-duplicates, and near-same prompts with different labels, were not looked for in so large a set",
                hint="To look, some 50 microseconds a row: validate([NearDuplicates(), NearContradictions()]).",
            )
            return
        repeats = {row for row, _ in repeated_rows(self._rows)}
        closest: dict[int, Near] = {}
        for pair in near_pairs(self._rows, threshold=self.rule.threshold):
            if pair.row not in repeats:
                known = closest.get(pair.row, pair)
                closest[pair.row] = pair if pair.similarity > known.similarity else known
        yield from map(self._issue, closest.values())

    def _issue(self, pair: Near) -> Issue:
        return Issue(
            self.rule.code,
            Severity.WARNING,
            "the example is nearly the same as an earlier one",
            row=pair.row,
            related=pair.earlier,
            hint="Keep the better one, unless the difference is what the model should learn.",
        )
