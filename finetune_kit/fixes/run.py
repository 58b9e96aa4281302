"""Fixes over rows: those of one row together in one pass, then each that needs the whole set."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_kit._canonical import pack
from finetune_kit._quoting import counted
from finetune_kit._user_code import as_example, as_truth, called
from finetune_kit.changes import EntriesBuilder, Pass, RuleCount
from finetune_kit.errors import ParameterError, RowError
from finetune_kit.fixes.protocols import AnyFix, DropFix, SetFix
from finetune_kit.records import Example
from finetune_kit.rows import BATCH_ROWS, Batch, Place, Rows, RowsBuilder


@dataclass(frozen=True, slots=True)
class Stage:
    """One cleaning: which fixes, and what they did."""

    fixes: tuple[AnyFix, ...]
    passes: tuple[Pass, ...]

    def summary(self) -> str:
        """What they did, as a sentence."""
        rules = [rule for each in self.passes for rule in each.rules]
        told = [str(rule) for rule in rules if rule.changed or rule.dropped]
        if not told:
            return "Cleaning found nothing to do."
        before, after = len(self.passes[0].rows), len(self.passes[-1].made)
        return f"Cleaning left {after:,} of {counted(before, 'row')}: {'; '.join(told)}."


def apply_fixes(rows: Rows, fixes: Sequence[AnyFix], changed: bytes | None = None) -> Stage:
    """Run the fixes; `changed` has a 1 for each row that an earlier cleaning has changed."""
    single = [fix for fix in fixes if not isinstance(fix, SetFix)]
    passes: list[Pass] = []
    if single:
        passes.append(_Run(rows, single, changed).by_row())
    for fix in fixes:
        if isinstance(fix, SetFix):
            rows, changed = (passes[-1].made, passes[-1].changed) if passes else (rows, changed)
            passes.append(_Run(rows, [fix], changed).by_plan(fix))
    return Stage(tuple(fixes), tuple(passes))


class _Run:
    """One pass. Rows that nothing touches are copied as bytes, or not even that where none is changed."""

    def __init__(self, rows: Rows, fixes: Sequence[AnyFix], changed: bytes | None) -> None:
        self._rows, self._fixes = rows, fixes
        self._changed_before = changed if changed is not None else bytes(len(rows))
        self._entries = EntriesBuilder(rows.kind, len(fixes))
        self._kept = array("Q")
        self._builder: RowsBuilder | None = None
        self._changed = bytearray()
        self._next = 0

    def by_row(self) -> Pass:
        """Apply fixes that look at one row at a time."""
        for batch in self._rows.batches():
            steps = [_Step(fix, isinstance(fix, DropFix), _suspects(fix, batch)) for fix in self._fixes]
            every = any(step.suspects is None for step in steps)
            rows = range(batch.start, batch.start + len(batch)) if every else sorted(_all_suspects(steps))
            for row in rows:
                self._apply(row, batch.example(row), steps)
        return self._finish()

    def by_plan(self, fix: SetFix) -> Pass:
        """Apply a fix that looks at all rows."""
        for row, after in _in_order(fix, self._rows):
            if after is None or self._differ(after, self._rows[row], fix, row):
                self._entries.add(0, row, after)
                self._leave(row, after)
        return self._finish()

    def _apply(self, row: int, example: Example, steps: Sequence[_Step]) -> None:
        now = example
        for number, step in enumerate(steps):
            if now is example and step.suspects is not None and row not in step.suspects:
                continue
            fix = step.fix
            after = self._dropped(fix, now, row) if step.drops else self._mended(fix, now, row)
            if after is now or (after is not None and not self._differ(after, now, fix, row)):
                continue
            self._entries.add(number, row, after, before=None if now is example else now)
            if after is None:
                self._leave(row, None)
                return
            now = after
        if now is not example:
            self._leave(row, now)

    def _mended(self, fix: Any, example: Example, row: int) -> Example | None:
        name, where = f"the fix {fix.code!r}", Place(self._rows, row)
        made: object = called(fix.mend, example, name=name, where=where, parameter="fixes")
        return None if made is None else as_example(made, name=name, where=where, parameter="fixes")

    def _dropped(self, fix: Any, example: Example, row: int) -> Example | None:
        name, where = f"the fix {fix.code!r}", Place(self._rows, row)
        gone: object = called(fix.drops, example, name=name, where=where, parameter="fixes")
        return None if as_truth(gone, name=name, where=where, parameter="fixes") else example

    def _differ(self, after: Example, before: Example, fix: AnyFix, row: int) -> bool:
        """Whether the row would be stored as other bytes."""
        if after.kind != self._rows.kind:
            raise ParameterError(
                f"{self._rows.origin(row)}: the fix {fix.code!r} made a {after.kind} example of a {self._rows.kind} "
                "example. A fix keeps the kind; use map to change it.",
                parameter="fixes",
            )
        try:
            return pack(after).record != pack(before).record
        except RowError as error:
            raise ParameterError(
                f"{self._rows.origin(row)}: the fix {fix.code!r} made an example that cannot be kept: {error}. "
                f"{error.hint}.",
                parameter="fixes",
            ) from error

    def _leave(self, row: int, after: Example | None) -> None:
        """All rows before this one are as they were; this one becomes another, or goes."""
        self._keep_until(row)
        self._next = row + 1
        if after is None:
            return
        if self._builder is None:
            self._builder = self._begun()
        self._builder.add_from(after, self._rows.origin(row))
        self._changed.append(1)

    def _begun(self) -> RowsBuilder:
        builder = RowsBuilder(self._rows.kind, path=self._rows.paths[0])
        kept = self._rows.take(self._kept)
        for batch in kept.batches():
            builder.copy(kept, range(batch.start, batch.start + len(batch)))
        return builder

    def _keep_until(self, end: int) -> None:
        start = self._next
        self._changed += self._changed_before[start:end]
        if self._builder is None:
            self._kept.extend(range(start, end))
            return
        for low in range(start, end, BATCH_ROWS):
            self._builder.copy(self._rows, range(low, min(low + BATCH_ROWS, end)))

    def _finish(self) -> Pass:
        self._keep_until(len(self._rows))
        if self._builder is not None:
            made = self._builder.build()
        else:
            made = self._rows if len(self._kept) == len(self._rows) else self._rows.take(self._kept)
        return Pass(self._rows, made, bytes(self._changed), self._counted(), self._entries.build())

    def _counted(self) -> tuple[RuleCount, ...]:
        """Rows that one rule drops are not seen by the next."""
        counted: list[RuleCount] = []
        seen = len(self._rows)
        for fix, changed, dropped in zip(self._fixes, self._entries.changed, self._entries.dropped, strict=True):
            counted.append(RuleCount(fix.code, fix.description, seen, changed, dropped))
            seen -= dropped
        return tuple(counted)


@dataclass(frozen=True, slots=True)
class _Step:
    """A fix over one batch."""

    fix: AnyFix
    drops: bool
    suspects: frozenset[int] | None
    """The rows that it would touch as they were read, and perhaps others; None where that is not known."""


def _suspects(fix: AnyFix, batch: Batch) -> frozenset[int] | None:
    find: Callable[[Batch], Iterable[int]] | None = getattr(fix, "suspects", None)
    return None if find is None else frozenset(find(batch))


def _all_suspects(steps: Iterable[_Step]) -> set[int]:
    return {row for step in steps for row in step.suspects or ()}


def _in_order(fix: SetFix, rows: Rows) -> Iterator[tuple[int, Example | None]]:
    last = -1
    for row, after in fix.plan(rows):
        if not last < row < len(rows):
            raise ParameterError(
                f"the fix {fix.code!r} planned row {row} after row {last} of {len(rows):,}. "
                "Give rows that are there, in rising order.",
                parameter="fixes",
            )
        last = row
        yield row, after
