"""Which rows train and which are held out: decided by content and seed, never by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit._units import (
    COMPLETION,
    LabelledUnits,
    Labels,
    UnitKeys,
    Units,
    label_text,
    metadata_keys,
    metadata_text,
    queue,
)
from finetune_kit.errors import SplitError
from finetune_kit.leaks import LeakReport, leak_report
from finetune_kit.rows import Rows

__all__ = ["LeakReport", "SplitIndices", "Splitter", "leak_report"]

_KEYS_SHOWN = 20
_LABELS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class SplitIndices:
    """The rows of each side: every row on one side, each side in the order of the rows."""

    training: Sequence[int]
    validation: Sequence[int]
    test: Sequence[int]
    notes: tuple[str, ...] = ()
    """What was decided for the user, in sentences."""


@dataclass(frozen=True, slots=True)
class Splitter:
    """A share of the rows for training, another for the test, the rest for validation.

    Rows that must not be torn apart make a unit: those with the same prompt, exact duplicates among them, or, with
    `group`, those with the same value of that metadata key, joined with every group that holds an equal row. Seed and
    content give each unit its place in the queue of all units, and the queue is cut where the shares come closest. So
    the sides are the same on every machine and for every order of the rows, and as exact as the units allow, which
    matters most for small sets. When the data grow, only units near a cut change sides. A threshold on the hash would
    hold every unit in place, but would often give 6 or 9 rows where 8 of 10 were asked for.
    """

    fraction: float = 0.8
    """The share of training, between 0 and 1."""
    seed: int = 0
    test: float = 0.0
    """The share of a third side."""
    stratify: str | None = None
    """`"completion"` or a metadata key: each value gets the same share on every side; `"none"`: no such care.

    None decides by the data: by completion where they look like classification, three rows or more to a completion.
    """
    group: str | None = None
    """A metadata key, such as a customer or a conversation, whose rows stay together; rows without it are their own."""

    def split(self, rows: Rows) -> SplitIndices:
        """Choose a side for every row, or raise `SplitError` where they cannot be split as asked."""
        self._check_shares()
        notes: list[str] = []
        units = self._units(rows, notes)
        sides = 3 if self.test else 2
        if len(units) < sides:
            raise SplitError(self._too_few(len(rows), len(units), sides))
        cut = units.nearest(self.fraction * len(rows), first=1, last=len(units) - sides + 1)
        end = len(units)
        if self.test:
            end = units.nearest((1 - self.test) * len(rows), first=cut + 1, last=len(units) - 1)
        return SplitIndices(
            training=units.rows(0, cut),
            validation=units.rows(cut, end),
            test=units.rows(end, len(units)),
            notes=tuple(notes),
        )

    def _check_shares(self) -> None:
        if not 0 < self.fraction < 1:
            raise SplitError(f"fraction={self.fraction!r} is not the share of training: give a number such as 0.8.")
        if not 0 <= self.test < 1:
            raise SplitError(f"test={self.test!r} is not the share of a test side: give a number such as 0.1.")
        if self.fraction + self.test > 1 - 1e-9:
            raise SplitError(
                f"fraction={self.fraction!r} and test={self.test!r} leave no row for validation: "
                "make one of them smaller, so that together they stay under 1."
            )

    def _units(self, rows: Rows, notes: list[str]) -> Units:
        keys = UnitKeys(rows, seed=self.seed)
        values: list[str | None] = []
        labels = Labels(by=self.stratify, rows=len(rows))
        for batch in rows.batches():
            if self.group is None and not labels.wanted:
                break  # nothing more is looked up in the rows themselves
            if self.group is not None:
                values += [metadata_text(example, self.group) for example in batch.examples]
            labels.see(batch)
        if missing := values.count(None):
            notes.append(_missing(rows, "group", self.group or "", missing, "each prompt of theirs stands alone"))
        if self.stratify is not None and labels.without:
            notes.append(_missing(rows, "stratify", self.stratify, labels.without, "they count as one value"))
        units = queue(keys.by_prompt() if self.group is None else keys.by_group(values), labels.finish())
        if isinstance(units, LabelledUnits):
            notes.append(self._label_note(rows, units, count=len(labels)))
        return units

    def _label_note(self, rows: Rows, units: LabelledUnits, *, count: int) -> str:
        by = self.stratify or COMPLETION
        note = f"Each of the {count:,} values of {by!r} got the same share on every side."
        if lonely := units.lonely():
            shown = ", ".join(quoted(label_text(rows[row], by) or "") for row in lonely[:_LABELS_SHOWN])
            more = ", …" if len(lonely) > _LABELS_SHOWN else ""
            note += f" All but {len(lonely):,} that cannot be divided, which training gets first: {shown}{more}."
        return note

    def _too_few(self, rows: int, units: int, sides: int) -> str:
        asked = f"{rows:,} examples cannot be split into {sides} sides"
        if rows < sides:
            return f"{asked}. Add examples."
        if self.group is None:
            return f"{asked}: those with the same prompt stay together, which leaves {units} to deal out. Add prompts."
        return (
            f"{asked}: those with the same {self.group!r} stay together, as do groups that share an equal example, "
            f"which leaves {units} to deal out. Drop duplicates first, or group by another key."
        )


def _missing(rows: Rows, parameter: str, key: str, missing: int, consequence: str) -> str:
    """A note on rows without the key, or `SplitError` where no row has it."""
    if missing < len(rows):
        return f"{missing:,} of {len(rows):,} examples have no {key!r}: {consequence}."
    known = sorted(metadata_keys(rows))
    there = ", ".join(map(quoted, known[:_KEYS_SHOWN])) + (", …" if len(known) > _KEYS_SHOWN else "")
    what = f"the columns there are besides the text: {there}" if known else "there are no columns besides the text"
    raise SplitError(f"{parameter}={key!r}: no example has a value in such a column; {what}.")
