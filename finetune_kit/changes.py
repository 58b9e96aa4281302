"""What cleaning did: every change with the rule, the row, what was there before and after, kept on disk."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Any, Generic, Literal, TypeVar

from finetune_kit._arguments import whole_number
from finetune_kit._canonical import pack, unpack
from finetune_kit._difference import as_html, inline_lines, unified_lines
from finetune_kit._quoting import counted
from finetune_kit._spool import Spool, Store
from finetune_kit.errors import ParameterError
from finetune_kit.records import Example, Kind
from finetune_kit.rows import Origin, Rows

DataT = TypeVar("DataT")

_SHOWN = 20
_SIZE_BYTES = 8
_DROPPED = 1
# What these rules find must not be read in a log or over a shoulder; the changes themselves hold it.
_SENSITIVE = frozenset({"personal_data", "secret"})


@dataclass(frozen=True, slots=True)
class Change:
    """What one rule did to one row."""

    code: str
    origin: Origin
    before: Example
    after: Example | None
    """None where the row was dropped."""

    @property
    def is_sensitive(self) -> bool:
        """Whether what went is masked where the change is shown."""
        return self.code in _SENSITIVE


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule did to all rows that it saw; `rows_in == kept + changed + dropped`."""

    code: str
    description: str
    """What the fix does, such as "drop the row"."""
    rows_in: int
    changed: int
    dropped: int

    @property
    def kept(self) -> int:
        """The rows that it left as they were."""
        return self.rows_in - self.changed - self.dropped

    def __str__(self) -> str:
        told = [f"{self.changed:,} changed"] if self.changed else []
        told += [f"{self.dropped:,} dropped"] if self.dropped else []
        return f"{self.code}: {', '.join(told) or 'nothing to do'} ({self.description})"


class Entries:
    """Changes in the order in which they were made: 18 bytes of memory each, the examples on disk."""

    __slots__ = ("_flags", "_kind", "_rows", "_rules", "_store")

    def __init__(self, kind: Kind, rows: array[int], rules: array[int], flags: bytes, store: Store) -> None:
        self._kind: Kind = kind
        self._rows, self._rules, self._flags, self._store = rows, rules, flags, store

    def __len__(self) -> int:
        return len(self._rows)

    def __reduce__(self) -> tuple[Any, ...]:
        records = [self._store.read(number) for number in range(len(self))]
        return _rebuild, (self._kind, self._rows, self._rules, self._flags, records)

    def read(self, rows: Rows, rules: Sequence[RuleCount]) -> Iterator[Change]:
        """The changes that were made to these rows."""
        for number, (row, rule) in enumerate(zip(self._rows, self._rules, strict=True)):
            record = self._store.read(number)
            cut = _SIZE_BYTES + int.from_bytes(record[:_SIZE_BYTES], "big")
            before = rows[row] if cut == _SIZE_BYTES else unpack(self._kind, record[_SIZE_BYTES:cut])
            after = None if self._flags[number] & _DROPPED else unpack(self._kind, record[cut:])
            yield Change(rules[rule].code, rows.origin(row), before, after)


def _rebuild(kind: Kind, rows: array[int], rules: array[int], flags: bytes, records: Iterable[bytes]) -> Entries:
    spool = Spool()
    for record in records:
        spool.append(record)
    return Entries(kind, rows, rules, flags, spool.seal())


class EntriesBuilder:
    """Collects the changes of one pass."""

    def __init__(self, kind: Kind, rules: int) -> None:
        self._kind: Kind = kind
        self._rows, self._rules, self._flags = array("Q"), array("B" if rules < 256 else "I"), bytearray()
        self._spool = Spool()
        self.changed, self.dropped = [0] * rules, [0] * rules

    def add(self, rule: int, row: int, after: Example | None, *, before: Example | None = None) -> None:
        """Note what a rule did; `before` only where an earlier rule of this pass had changed the row already."""
        earlier = b"" if before is None else pack(before).record
        record = len(earlier).to_bytes(_SIZE_BYTES, "big") + earlier
        if after is not None:
            record += pack(after).record
        self._spool.append(record)
        self._rows.append(row)
        self._rules.append(rule)
        self._flags.append(_DROPPED if after is None else 0)
        (self.changed if after is not None else self.dropped)[rule] += 1

    def build(self) -> Entries:
        """The entries; call it once, last."""
        return Entries(self._kind, self._rows, self._rules, bytes(self._flags), self._spool.seal())


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass of some rules over all rows."""

    rows: Rows
    """What went in."""
    made: Rows
    """What came out."""
    changed: bytes
    """For each row that came out, 1 if this pass or an earlier one has changed it."""
    rules: tuple[RuleCount, ...]
    entries: Entries

    def changes(self) -> Iterator[Change]:
        """One after another."""
        return self.entries.read(self.rows, self.rules)


class ChangeLog(Generic[DataT]):
    """What `clean` has done to a data set: `rows_in == kept + changed + dropped`, over all and for each rule.

    Iterating gives each `Change` with the row before and after, in the order in which they were made.
    """

    __slots__ = ("_passes", "_rows", "_undo")

    def __init__(self, rows: Rows, passes: Sequence[Pass], undo: Callable[[tuple[str, ...]], DataT]) -> None:
        self._rows, self._passes, self._undo = rows, tuple(passes), undo

    def __len__(self) -> int:
        return sum(len(each.entries) for each in self._passes)

    def __iter__(self) -> Iterator[Change]:
        return (change for each in self._passes for change in each.changes())

    @property
    def rows_in(self) -> int:
        """The rows before cleaning."""
        return len(self._passes[0].rows if self._passes else self._rows)

    @property
    def kept(self) -> int:
        """The rows that are as they were."""
        return len(self._rows) - self.changed

    @property
    def changed(self) -> int:
        """The rows that are still there and that at least one rule has changed."""
        return sum(self._passes[-1].changed) if self._passes else 0

    @property
    def dropped(self) -> int:
        """The rows that are no longer there."""
        return self.rows_in - len(self._rows)

    @property
    def by_rule(self) -> tuple[RuleCount, ...]:
        """What each rule did, in the order in which they ran."""
        return tuple(rule for each in self._passes for rule in each.rules)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many changes each rule made, by its code; those that made none are left out."""
        return counts_of(self.by_rule)

    def of(self, code: str) -> Iterator[Change]:
        """The changes that one rule made."""
        return (change for change in self if change.code == code)

    def summary(self) -> str:
        """The counts as text for a terminal."""
        lines = [_total(self), *(f"  {rule}" for rule in self.by_rule if rule.changed or rule.dropped)]
        return "\n".join(lines)

    def diff(
        self, code: str | None = None, *, limit: int = _SHOWN, form: Literal["inline", "unified"] = "inline"
    ) -> str:
        """The first changes as text, each row by its file and line, and how many more there are.

        `code` shows only one rule's. Inline marks `[-what went-]` and `{+what came+}`; unified gives lines with - or +.
        What was personal or secret is masked.
        """
        lines_of = {"inline": inline_lines, "unified": unified_lines}.get(form)
        if lines_of is None:
            raise ParameterError(f"form={form!r}: there are 'inline' and 'unified'.", parameter="form")
        self._check_code(code)
        shown = whole_number("limit", limit, 0)
        lines: list[str] = []
        for change in islice(self._of(code), shown):
            where, hidden = str(change.origin), change.is_sensitive
            lines += lines_of(where, change.code, change.before, change.after, hidden=hidden)
        if (more := self._times(code) - shown) > 0:
            lines.append(f"… and {counted(more, 'more change')}; limit={limit} shows this many.")
        return "\n".join(lines)

    def undo(self, *codes: str) -> DataT:
        """The data set without what these rules did; the others are applied again, in order. All, if none is named."""
        for code in codes:
            self._check_code(code)
        return self._undo(codes)

    def _of(self, code: str | None) -> Iterator[Change]:
        return iter(self) if code is None else self.of(code)

    def _times(self, code: str | None) -> int:
        return len(self) if code is None else self.counts.get(code, 0)

    def _check_code(self, code: str | None) -> None:
        known = [rule.code for rule in self.by_rule]
        if code is not None and code not in known:
            ran = ", ".join(dict.fromkeys(known)) or "none"
            raise ParameterError(f"{code!r} is no rule that cleaned this data set; those are: {ran}.", parameter="code")

    def __repr__(self) -> str:
        return f"<ChangeLog: {_total(self)}>"

    def _repr_html_(self) -> str:
        counts = "".join(f"<li>{escape(str(rule))}</li>" for rule in self.by_rule if rule.changed or rule.dropped)
        rows = "".join(
            f"<tr><td>{escape(str(change.origin))}</td><td>{escape(change.code)}</td>"
            f"<td>{as_html(change.before, change.after, hidden=change.is_sensitive)}</td></tr>"
            for change in islice(self, _SHOWN)
        )
        more = f"<p>… and {counted(len(self) - _SHOWN, 'more change')}.</p>" if len(self) > _SHOWN else ""
        table = f"<table><tr><th>row</th><th>rule</th><th>change</th></tr>{rows}</table>" if rows else ""
        return f"<p>{escape(_total(self))}</p><ul>{counts}</ul>{table}{more}"


def counts_of(rules: Iterable[RuleCount]) -> Mapping[str, int]:
    """How many changes there were by each code; codes without any are left out."""
    counts: dict[str, int] = {}
    for rule in rules:
        if times := rule.changed + rule.dropped:
            counts[rule.code] = counts.get(rule.code, 0) + times
    return counts


def _total(log: ChangeLog[Any]) -> str:
    return f"{counted(log.rows_in, 'row')}: {log.kept:,} kept, {log.changed:,} changed, {log.dropped:,} dropped"
