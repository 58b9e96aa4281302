"""Rows of a data set: read once, kept as canonical JSON in a memory-mapped temporary file, seen through cheap views."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from finetune_kit._canonical import DIGEST_BYTES, content_of, kind_of, pack, unpack
from finetune_kit._spool import Spool, Store
from finetune_kit.errors import ParameterError
from finetune_kit.records import Example, Kind

T = TypeVar("T")

BATCH_ROWS = 256
"""Rows that validators see at once; measured best."""


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

    @property
    def rows_in(self) -> int:
        """All rows that were there."""
        return self.rows_read + self.rows_refused


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows in order, decoded: their numbers in the data set are `start` to `start + len(examples) - 1`."""

    start: int
    examples: Sequence[Example]
    origins: Sequence[Origin]
    digests: Sequence[bytes]


class _OnDemand(Sequence[T], Generic[T]):
    """A sequence whose items are made when they are asked for."""

    __slots__ = ("_item", "_numbers")

    def __init__(self, item: Callable[[int], T], numbers: range) -> None:
        self._item = item
        self._numbers = numbers

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> _OnDemand[T]: ...
    def __getitem__(self, index: int | slice) -> T | _OnDemand[T]:
        if isinstance(index, slice):
            return _OnDemand(self._item, self._numbers[index])
        return self._item(self._numbers[index])


class Rows(Sequence[Example]):
    """An immutable view of stored rows: slices and `take` share the store and copy no row."""

    __slots__ = ("_lines", "_order", "_path", "_store", "kind")

    kind: Kind

    def __init__(self, kind: Kind, store: Store, lines: array[int], *, path: str | None, order: Sequence[int]) -> None:
        self.kind = kind
        self._store = store
        self._lines = lines
        self._path = path
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Example | Rows:
        if isinstance(index, slice):
            return self._view(self._order[index])
        return unpack(self.kind, self._store.read(self._order[index]))

    def __iter__(self) -> Iterator[Example]:
        read, kind = self._store.read, self.kind
        return (unpack(kind, read(number)) for number in self._order)

    def __repr__(self) -> str:
        return f"Rows(kind={self.kind!r}, len={len(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        lines = array("Q", (self._lines[number] for number in self._order))
        return _rebuild, (self.kind, self._path, lines, [self._store.read(number) for number in self._order])

    def batches(self, size: int = BATCH_ROWS) -> Iterator[Batch]:
        """All rows in order, `size` at a time."""
        if size < 1:
            raise ParameterError(f"A batch holds at least one row, not {size}. Pass size=1 or more.", parameter="size")
        return (self._batch(range(start, min(start + size, len(self)))) for start in range(0, len(self), size))

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at `indices`, in that order, as a view; `IndexError` for one that is not there."""
        return self._view(array("Q", map(self._order.__getitem__, indices)))

    def origin(self, index: int) -> Origin:
        """Where row `index` came from."""
        return Origin(self._path, self._lines[self._order[index]])

    def digest(self, index: int) -> bytes:
        """16 bytes that are equal for equal content, in every process; metadata does not count."""
        return self._store.read(self._order[index], DIGEST_BYTES)

    def content_line(self, index: int) -> bytes:
        """The canonical JSON of the row's content, without a line feed, as it is written for hosts."""
        return content_of(self._store.read(self._order[index]))

    def content_lines(self) -> Iterator[bytes]:
        """`content_line` of every row in order."""
        read = self._store.read
        return (content_of(read(number)) for number in self._order)

    def _view(self, order: Sequence[int]) -> Rows:
        return Rows(self.kind, self._store, self._lines, path=self._path, order=order)

    def _batch(self, numbers: range) -> Batch:
        records = [self._store.read(number) for number in self._order[numbers.start : numbers.stop]]
        return Batch(
            start=numbers.start,
            examples=[unpack(self.kind, record) for record in records],
            origins=_OnDemand(self.origin, numbers),
            digests=[record[:DIGEST_BYTES] for record in records],
        )


class RowsBuilder:
    """Collects examples of one kind into `Rows`; only the spooled bytes and 16 bytes a row are kept."""

    def __init__(self, kind: Kind, *, path: str | None = None) -> None:
        self.kind: Kind = kind
        self._path = path
        self._lines = array("Q")
        self._spool = Spool()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, example: Example, *, line: int) -> None:
        """Store one example; `RowError` where it has no faithful JSON form, and then nothing is stored."""
        if kind_of(example) != self.kind:
            raise ParameterError(f"A {kind_of(example)} example cannot stand among {self.kind} examples. Convert it.")
        self._spool.append(pack(example))
        self._lines.append(line)

    def build(self) -> Rows:
        """The rows; call it once, last."""
        return Rows(self.kind, self._spool.seal(), self._lines, path=self._path, order=range(len(self._lines)))


def _rebuild(kind: Kind, path: str | None, lines: array[int], records: Sequence[bytes]) -> Rows:
    spool = Spool()
    for record in records:
        spool.append(record)
    return Rows(kind, spool.seal(), lines, path=path, order=range(len(lines)))
