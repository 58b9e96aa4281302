"""Columns beside those that are trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity

_SHOWN = 10
_MOST_COLUMNS = 1_000  # a file may have keys of their own in every row
_NAMES = {str: "text", bool: "truth value", int: "number", float: "number", list: "list", dict: "object"}


def columns_of(batch: Batch) -> Counter[tuple[str, type]]:
    """How often each metadata key stands with a value of each type."""
    counted: Counter[tuple[str, type]] = Counter()
    for metadata in batch.metadata:
        counted.update(zip(metadata, map(type, metadata.values()), strict=True))
    return counted


@dataclass(slots=True)
class _Columns:
    """Adds up the columns of all batches."""

    counts: Counter[tuple[str, type]] = field(default_factory=Counter[tuple[str, type]])

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Take up a batch, unless there are more columns already than a table has."""
        if len(self.counts) < _MOST_COLUMNS:
            self.counts.update(batch.view(columns_of))
        return ()


@dataclass(frozen=True, slots=True)
class ExtraColumns:
    """Columns beside prompt and completion are kept for grouping and stratifying, and never trained on.

    Bad:  a column "context" that the answer depends on, beside the prompt instead of in it
    Good: a column "customer", to keep a customer's rows on one side of a split
    """

    code = "extra_columns"

    def start(self) -> ExtraColumnsCheck:
        """Begin a run."""
        return ExtraColumnsCheck()


@dataclass(slots=True)
class ExtraColumnsCheck(_Columns):
    """Counts keys."""

    def finish(self) -> Iterable[Issue]:
        """One note that names the columns."""
        names = dict.fromkeys(name for name, _ in self.counts)
        if not names:
            return []
        shown = ", ".join(quoted(name) for name in list(names)[:_SHOWN])
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        which = "column is" if len(names) == 1 else "columns are"
        message = f"{len(names):,} {which} not trained on: {shown}{more}"
        hint = "`split` can group or stratify by them. What the answer depends on belongs into the prompt."
        return [Issue(ExtraColumns.code, Severity.INFO, message, hint=hint)]


@dataclass(frozen=True, slots=True)
class ColumnTypes:
    """A column whose values change their type was most likely filled in by two programs.

    Bad:  `{"customer": 17}` beside `{"customer": "17"}`
    Good: `{"customer": "17"}` beside `{"customer": "18"}`, or `null` where it is not known
    """

    code = "column_types"

    def start(self) -> ColumnTypesCheck:
        """Begin a run."""
        return ColumnTypesCheck()


@dataclass(slots=True)
class ColumnTypesCheck(_Columns):
    """Counts types."""

    def finish(self) -> Iterator[Issue]:
        """One note for each column whose values are of more than one type."""
        types: dict[str, Counter[str]] = {}
        for (name, kind), times in self.counts.items():
            if kind in _NAMES:
                types.setdefault(name, Counter())[_NAMES[kind]] += times
        for name, counted in types.items():
            if len(counted) > 1:
                told = " and ".join(f"{times:,} of type {kind}" for kind, times in counted.most_common())
                message = f"the column {quoted(name)} has values {told}"
                hint = "Grouping by it takes 17 and '17' for two values: let all rows have one type."
                yield Issue(ColumnTypes.code, Severity.INFO, message, field=name, hint=hint)
