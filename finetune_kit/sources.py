"""What was read and how it was understood, and what a data set tells of that after something was done with its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import orjson

from finetune_kit._refused import RefusedRows, joined_refused
from finetune_kit.records import Example

ValueT = TypeVar("ValueT")

_REFUSALS_KEPT = 1000
_REFUSALS_SHOWN = 3
_NAMES_SHOWN = 3
_SHOWN_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row came from."""

    path: str | None
    """The file, as the user named it; None for records from memory."""
    line: int
    """The physical line on which the row starts, or the record's number, counted from 1."""

    def __str__(self) -> str:
        return f"record {self.line}" if self.path is None else f"{self.path} row {self.line}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that could not be read, and why."""

    line: int
    """As in `Origin`."""
    column: int | None
    """The character in that line, counted from 1, where it is known."""
    code: str
    """A stable word for programs, such as `bad_json`, `wrong_type`, `missing_field`, `ragged_row`."""
    reason: str
    hint: str
    """What to do."""
    text: str
    """The first 200 characters of the raw row, for display."""
    path: str | None = None
    """The file, where it may be another than the source's."""


@dataclass(frozen=True, slots=True)
class Source:
    """What was read, and how it was understood."""

    path: str | None
    format: str
    """`csv`, `tsv`, `jsonl`, `json`, `text`, `xlsx`, `xls`, `xlsb`, `ods`, `records`, or a table's library."""
    encoding: str | None
    confidence: float | None
    """1.0 where the encoding is proven, less where it was guessed, None where the caller gave it."""
    bom: bool
    """Whether the file began with a byte-order mark."""
    delimiter: str | None
    rows_read: int
    rows_refused: int
    refusals: tuple[Refusal, ...]
    """The first 1,000; `rows_refused` counts them all."""
    columns: Mapping[str, str]
    """Which column became which field: `{"prompt": "question", "completion": "answer"}`."""
    notes: tuple[str, ...]
    """What was guessed, in sentences for the user."""
    first_rows: tuple[Example, ...] = ()
    """The first three as they were read, to look at."""
    refused_rows: RefusedRows = field(default_factory=RefusedRows, repr=False, compare=False)
    """All that were refused, for `Dataset.write_refused`."""
    parts: tuple[Source, ...] = ()
    """The sources of rows that `Dataset.concat` put behind one another."""

    @property
    def name(self) -> str:
        """The file, or the files, or "records", in a message."""
        names = list(dict.fromkeys(part.path or "records" for part in self.parts or (self,)))
        more = [f"{len(names) - _NAMES_SHOWN:,} more"] if len(names) > _NAMES_SHOWN else []
        *earlier, last = [*names[:_NAMES_SHOWN], *more]
        return f"{', '.join(earlier)} and {last}" if earlier else last

    @property
    def rows_in(self) -> int:
        """All rows that were there."""
        return self.rows_read + self.rows_refused

    def __str__(self) -> str:
        """A few lines to look at: what was read, how, and the first rows."""
        if self.parts:
            return "\n".join([*map(str, self.parts), *self.notes[-1:]])
        how = self.format if self.encoding is None else f"{self.format} in {self.encoding}{_certainty(self)}"
        told = [f"{self.path or 'records'}: {how}; {self.rows_read:,} rows read, {self.rows_refused:,} refused"]
        told += [f"  {name} is {column!r}" for name, column in self.columns.items()]
        told += [f"  {_shown(example)}" for example in self.first_rows]
        told += [f"  {note}" for note in self.notes]
        told += [f"  refused: {refusal.reason} (row {refusal.line})" for refusal in self.refusals[:_REFUSALS_SHOWN]]
        return "\n".join(told)


def _certainty(source: Source) -> str:
    told = [] if source.confidence is None else [f"confidence {source.confidence:.2f}"]
    told += ["byte-order mark"] if source.bom else []
    told += [f"separated by {source.delimiter!r}"] if source.delimiter else []
    return f" ({', '.join(told)})" if told else ""


def _shown(example: Example) -> str:
    text = orjson.dumps(example.content(), default=repr).decode()
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"


def noted(source: Source, *notes: str) -> Source:
    """The source with sentences about what was done."""
    return replace(source, notes=(*source.notes, *notes))


def without_refused(source: Source) -> Source:
    """The source with its refused rows given up."""
    return replace(source, rows_refused=0, refusals=(), refused_rows=RefusedRows())


def with_refused(source: Source, refused: int, refusals: Sequence[Refusal], refused_rows: RefusedRows) -> Source:
    """The source with more rows that are refused, beside those that could not be read."""
    if not refused:
        return source
    return replace(
        source,
        rows_refused=source.rows_refused + refused,
        refusals=(*source.refusals, *refusals)[:_REFUSALS_KEPT],
        refused_rows=joined_refused([(None, source.refused_rows), (None, refused_rows)]),
    )


def joined(sources: Sequence[Source], lengths: Sequence[int]) -> Source:
    """The source of rows that were put behind one another, so many of each; what differs is in its `parts`."""
    first = sources[0]
    path = _shared([source.path for source in sources], None)
    parts = tuple(part for source in sources for part in source.parts or (source,))
    if path is not None:
        refusals = [refusal for source in sources for refusal in source.refusals]
        refused_rows = joined_refused([(None, source.refused_rows) for source in sources])
    else:
        refusals = [
            replace(refusal, path=refusal.path or source.path) for source in sources for refusal in source.refusals
        ]
        refused_rows = joined_refused([(source.path, source.refused_rows) for source in sources])
    told = ", ".join(f"{length:,} of {source.name}" for source, length in zip(sources, lengths, strict=True))
    notes = dict.fromkeys(note for source in sources for note in source.notes)
    return Source(
        path=path,
        format=_shared([source.format for source in sources], "several"),
        encoding=_shared([source.encoding for source in sources], None),
        confidence=_shared([source.confidence for source in sources], None),
        bom=any(source.bom for source in sources),
        delimiter=_shared([source.delimiter for source in sources], None),
        rows_read=sum(lengths),
        rows_refused=sum(source.rows_refused for source in sources),
        refusals=tuple(refusals[:_REFUSALS_KEPT]),
        columns=_shared([source.columns for source in sources], {}),
        notes=(*notes, f"Put behind one another: {told}."),
        first_rows=first.first_rows,
        refused_rows=refused_rows,
        parts=parts,
    )


def _shared(values: Sequence[ValueT], otherwise: ValueT) -> ValueT:
    return values[0] if all(value == values[0] for value in values) else otherwise
