"""Units dealt out to the sides of a split."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import NamedTuple

from finetune_kit._quoting import quoted
from finetune_kit._units import COMPLETION, LabelledUnits, SomeUnits, Units, at_fixed_cuts, by_time, label_text, queue
from finetune_kit.errors import SplitError
from finetune_kit.rows import Rows

_LABELS_SHOWN = 5
_TRAINING, _VALIDATION, _TEST, _NEW = range(4)


class Sides(NamedTuple):
    """The rows of each side, rising."""

    training: array[int]
    validation: array[int]
    test: array[int]


@dataclass(frozen=True, slots=True)
class EarlierSides:
    """How the rows were split before, when there were fewer."""

    training: Rows
    validation: Rows | None = None
    test: Rows | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked for, as far as it matters once the units are known."""

    fraction: float
    test: float
    stratify: str | None
    group: str | None
    previous: EarlierSides | None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of each row."""

    keys: array[int]
    """Equal for the rows of a unit."""
    labels: array[int]
    """A hash of the label, where labels are to be balanced; else nothing."""
    label_count: int
    times: array[float]
    """Seconds, where time decides; else nothing."""


class Deal:
    """Units, and the sides they get."""

    def __init__(self, order: Order, rows: Rows, facts: Facts, keys: array[int], *, near: bool = False) -> None:
        self.rows, self.facts, self.keys = rows, facts, keys
        self._order, self._near = order, near
        self._kept = Sides(array("Q"), array("Q"), array("Q"))
        self._torn = 0
        self._new: array[int] | None = None
        if order.previous is not None:
            self._kept, self._new = self._by_earlier_sides(order.previous)

    def _by_earlier_sides(self, earlier: EarlierSides) -> tuple[Sides, array[int]]:
        """The rows of each side that are known, and those that are new."""
        side_of: dict[int, int] = {}
        for side in (_TEST, _VALIDATION, _TRAINING):  # what was trained on is not held out again
            there = (earlier.training, earlier.validation, earlier.test)[side]
            if there is not None:
                side_of.update(dict.fromkeys(there.row_keys(), side))
        of_row = [side_of.get(key, _NEW) for key in self.rows.row_keys()]
        of_unit: dict[int, int] = {}
        torn: set[int] = set()
        for key, side in zip(self.keys, of_row, strict=True):
            if side != _NEW:
                before = of_unit.setdefault(key, side)
                if before != side:
                    torn.add(key)
                    of_unit[key] = min(before, side)
        self._torn = len(torn)
        sides = [array("Q") for _ in range(4)]
        for row, (key, side) in enumerate(zip(self.keys, of_row, strict=True)):
            sides[of_unit.get(key, _NEW) if side == _NEW else side].append(row)
        return Sides(*sides[:_NEW]), sides[_NEW]

    @cached_property
    def _units(self) -> Units:
        keys, labels, times, new = self.keys, self.facts.labels, self.facts.times, self._new
        if times:
            return by_time(keys, times)
        if new is None:
            return queue(keys, labels)
        some = array("Q", map(keys.__getitem__, new))
        units = queue(some, array("Q", map(labels.__getitem__, new)) if labels else labels)
        return SomeUnits(units.ends, units, new)

    def tied(self, keys: array[int]) -> Deal:
        """The same with larger units, made by likeness."""
        return Deal(self._order, self.rows, self.facts, keys, near=True)

    def sides(self) -> Sides:
        """The rows of training, validation and test; `SplitError` where a side would be empty."""
        there = 3 if self._order.test else 2
        if fixed := self._at_fixed_cuts():
            return Sides(*fixed, *[array("Q")] * (3 - there))
        units, kept = self._units, self._kept
        empty = [not side for side in kept[:there]]
        if len(units) < sum(empty):
            raise SplitError(self._too_few(there, sum(empty)))
        training, validation, _ = self._needs()
        cut = units.cut(training, first=int(empty[0]), last=len(units) - sum(empty[1:]))
        end = len(units)
        if there == 3:
            end = units.cut(training + validation, first=cut + empty[1], last=len(units) - empty[2])
        dealt = units.rows(0, cut), units.rows(cut, end), units.rows(end, len(units))
        return Sides(*map(_merged, kept, dealt))

    def _at_fixed_cuts(self) -> list[array[int]] | None:
        if self._new is not None or self.facts.labels or self.facts.times:
            return None
        fraction, test = self._order.fraction, self._order.test
        return at_fixed_cuts(self.keys, [fraction, 1 - test] if test else [fraction])

    def _wanted(self) -> tuple[float, float, float]:
        order, total = self._order, len(self.rows)
        training, test = order.fraction * total, order.test * total
        return training, total - training - test, test

    def _needs(self) -> list[float]:
        """How many new rows each side gets: where an earlier side is above its share already, none."""
        lacking = [max(0.0, wanted - len(kept)) for wanted, kept in zip(self._wanted(), self._kept, strict=True)]
        new = len(self.rows) - sum(map(len, self._kept))
        return [new * each / (sum(lacking) or 1.0) for each in lacking]

    def miss(self, sides: Sequence[Sequence[int]]) -> float:
        """By how many rows the side that is farthest from its share misses it."""
        return max(abs(len(side) - wanted) for side, wanted in zip(sides, self._wanted(), strict=True))

    def notes(self) -> Iterator[str]:
        """What was decided."""
        if self.facts.labels:
            units = self._units.units if isinstance(self._units, SomeUnits) else self._units
            if isinstance(units, LabelledUnits):
                yield self._label_note(units)
        if self._order.previous is None:
            return
        old = sum(map(len, self._kept))
        yield f"{old:,} of {len(self.rows):,} examples keep the side that they or their like were on before."
        if self._torn:
            yield (
                f"Examples that belong together were on two sides before, {self._torn:,} times: they stay there, "
                "and new ones of their kind train."
            )

    def _label_note(self, units: LabelledUnits) -> str:
        by = self._order.stratify or COMPLETION
        new = " of the new examples" if self._order.previous is not None else ""
        note = f"Each of the {self.facts.label_count:,} values of {by!r} got the same share{new} on every side."
        if lonely := units.lonely(3 if self._order.test else 2):
            numbers = self._units.numbers if isinstance(self._units, SomeUnits) else range(len(self.rows))
            examples = (self.rows[numbers[row]] for row in lonely[:_LABELS_SHOWN])
            shown_labels = ", ".join(quoted(label_text(example, by) or "") for example in examples)
            more = ", …" if len(lonely) > _LABELS_SHOWN else ""
            note += f" All but {len(lonely):,} that cannot be divided, which training gets first: {shown_labels}{more}."
        return note

    def _too_few(self, sides: int, empty: int) -> str:
        rows, units, group = len(self.rows), len(self._units), self._order.group
        asked = f"{rows:,} examples cannot be split into {sides} sides"
        if self._order.previous is not None:
            return (
                f"{asked}: {empty} of them have no earlier example, and only {units} groups of new ones, which stay "
                "together, are there to deal out. Add examples, or leave out `previous`."
            )
        if rows < sides:
            return f"{asked}. Add examples."
        if group is not None:
            return (
                f"{asked}: those with the same {group!r} stay together, as do groups that share an equal example"
                f"{' or ask nearly the same' if self._near else ''}, "
                f"which leaves {units} to deal out. Drop duplicates first, or group by another key."
            )
        like = "the same or nearly the same prompt" if self._near else "the same prompt"
        other = ", or pass near=False" if self._near else ""
        return f"{asked}: those with {like} stay together, which leaves {units} to deal out. Add prompts{other}."


def _merged(kept: array[int], dealt: array[int]) -> array[int]:
    return array("Q", sorted(chain(kept, dealt))) if kept else dealt
