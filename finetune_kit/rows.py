"""Rows of a data set: read once, kept as canonical JSON in a memory-mapped temporary file, seen through cheap views."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from operator import lt
from typing import Any, Generic, TypeVar, overload

from finetune_kit._canonical import (
    BLANK_COMPLETION,
    DAMAGED,
    HAS_METADATA,
    NOTHING_ASKED,
    PackedRows,
    content_of,
    digest_of,
    kind_of,
    pack,
    pack_chats,
    pack_pairs,
    unpack,
    unpack_many,
    unpack_metadata,
    unpack_pairs,
)
from finetune_kit._spool import Spool, Store
from finetune_kit._views import RowBytes
from finetune_kit.errors import ParameterError
from finetune_kit.records import CompletionExample, Example, JsonValue, Kind, completion_examples
from finetune_kit.sources import Origin, Refusal, Source

__all__ = [
    "BATCH_ROWS",
    "BLANK_COMPLETION",
    "DAMAGED",
    "NOTHING_ASKED",
    "Batch",
    "Index",
    "Origin",
    "Place",
    "Refusal",
    "Rows",
    "RowsBuilder",
    "Source",
]

T = TypeVar("T")

BATCH_ROWS = 256
"""Rows that validators see at once; measured best."""

_BLOCK_ROWS = 2048
_BLOCK_BYTES = 8 << 20


class Batch:
    """Some rows in order: their numbers in the data set are `start` to `start + len(batch) - 1`.

    What a rule does not ask for is not decoded. A slice of a batch is a batch.
    """

    def __init__(self, rows: Rows, numbers: range) -> None:
        self.rows = rows
        """The data set that the batch belongs to."""
        self._numbers = numbers
        self._views: dict[object, Any] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, part: slice) -> Batch:
        return Batch(self.rows, self._numbers[part])

    @property
    def start(self) -> int:
        """The number of the first row."""
        return self._numbers.start

    @property
    def kind(self) -> Kind:
        """Which kind of example the rows are."""
        return self.rows.kind

    @cached_property
    def examples(self) -> Sequence[Example]:
        """The rows themselves."""
        if self.kind == "completion" and not self._have_metadata:
            return completion_examples(self.prompts, self.completions)
        return unpack_many(self.kind, self._records)

    @property
    def size_bytes(self) -> int:
        """What the rows take where they are stored."""
        return self.rows.stored_bytes(self._numbers)

    @property
    def origins(self) -> Sequence[Origin]:
        """Where each came from."""
        return _OnDemand(self.rows.origin, self._numbers)

    @cached_property
    def digests(self) -> Sequence[bytes]:
        """`Rows.digest` of each."""
        return list(map(digest_of, self._records))

    @cached_property
    def keys(self) -> Sequence[int]:
        """`Rows.key` of each."""
        return self.rows.row_keys(self._numbers)

    def view(self, make: Callable[[Batch], T]) -> T:
        """`make(batch)`, made once for all the rules that ask for it; best a function at the top of a module."""
        if make not in self._views:
            self._views[make] = make(self)
        found: T = self._views[make]
        return found

    def flagged(self, flag: int) -> list[int]:
        """The numbers of the rows with this flag, one of those in `finetune_kit.rows`."""
        flags = self.rows.flags(self._numbers)
        if not any(flags):
            return []
        return [row for row, found in enumerate(flags, self.start) if found & flag]

    def longer_than(self, size_bytes: int) -> list[int]:
        """The numbers of the rows that take more bytes than that as they are stored, metadata included."""
        if self._longest <= size_bytes:
            return []
        lengths = self.rows.stored_lengths(self._numbers)
        return [row for row, length in enumerate(lengths, self.start) if length > size_bytes]

    @cached_property
    def _longest(self) -> int:
        return max(self.rows.stored_lengths(self._numbers), default=0)

    def example(self, row: int) -> Example:
        """The row with this number, the others not decoded for it."""
        known, place = self.__dict__, row - self.start
        if "examples" in known:
            return self.examples[place]
        if self.kind == "completion" and "_pairs" in known and not self._have_metadata:
            return CompletionExample(self.prompts[place], self.completions[place])
        return self.rows[row]

    @cached_property
    def prompts(self) -> Sequence[str]:
        """The prompt of each; nothing where the rows are not completion examples."""
        return [content["prompt"] for content in self._pairs]

    @cached_property
    def completions(self) -> Sequence[str]:
        """The completion of each; nothing where the rows are not completion examples."""
        return [content["completion"] for content in self._pairs]

    @cached_property
    def metadata(self) -> Sequence[Mapping[str, JsonValue]]:
        """The metadata of those of the rows that have some, in no particular order."""
        return unpack_metadata(self._records) if self.rows.have_metadata(self._numbers) else ()

    @cached_property
    def raw(self) -> RowBytes:
        """The canonical JSON of all contents, to tell at once which rows are worth a closer look."""
        return RowBytes(self.rows.contents(self._numbers), self.start)

    @cached_property
    def marks(self) -> RowBytes:
        """`raw` without small letters, spaces and characters beyond ASCII: capitals, digits and signs."""
        return self.raw.marks()

    @cached_property
    def _have_metadata(self) -> bool:
        return self.rows.have_metadata(self._numbers)

    @cached_property
    def _pairs(self) -> list[dict[str, str]]:
        return unpack_pairs(self.raw.data) if self.kind == "completion" else []

    @cached_property
    def _records(self) -> list[bytes]:
        return self.rows.records(self._numbers)


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


@dataclass(frozen=True, slots=True)
class Index:
    """What is kept in memory of the rows in a store: 17 bytes each, the offsets in the store included, 21 above 4 GB.

    Rows of several files take two more, for the number of the file.
    """

    store: Store
    lines: array[int]
    keys: array[int]
    flags: bytearray
    paths: tuple[str | None, ...]
    """The files that rows came from."""
    parts: array[int] | None
    """The place of each row's file in `paths`; None where there is only one."""

    @property
    def has_metadata(self) -> bool:
        """Whether any row has some."""
        return any(flag & HAS_METADATA for flag in set(self.flags))

    def origin(self, number: int) -> Origin:
        """Where a stored row came from."""
        return Origin(self.paths[0 if self.parts is None else self.parts[number]], self.lines[number])

    def only(self, numbers: Sequence[int]) -> Index:
        """The index of some of the rows, without their store."""
        return Index(
            Store(None, array("Q", [0])),
            _picked(self.lines, numbers),
            _picked(self.keys, numbers),
            bytearray([self.flags[number] for number in numbers]),
            self.paths,
            None if self.parts is None else _picked(self.parts, numbers),
        )


def _picked(values: array[int], numbers: Sequence[int]) -> array[int]:
    if numbers == range(len(values)):
        return values  # nobody changes what they are given
    if isinstance(numbers, range) and numbers.step > 0:
        return values[numbers.start : numbers.stop : numbers.step]
    return array(values.typecode, [values[number] for number in numbers])


class Rows(Sequence[Example]):
    """An immutable view of stored rows: slices and `take` share the store and copy no row."""

    __slots__ = ("__weakref__", "_index", "_order", "kind")

    kind: Kind

    def __init__(self, kind: Kind, index: Index, order: Sequence[int]) -> None:
        self.kind = kind
        self._index = index
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> Example | Rows:
        if isinstance(index, slice):
            return Rows(self.kind, self._index, self._order[index])
        return unpack(self.kind, self._index.store.read(self._order[index]))

    def __iter__(self) -> Iterator[Example]:
        return (example for batch in self.batches() for example in batch.examples)

    def __repr__(self) -> str:
        return f"Rows(kind={self.kind!r}, len={len(self)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.kind, self._index.only(self._order), list(map(self._index.store.read, self._order)))

    def batches(self, size: int = BATCH_ROWS) -> Iterator[Batch]:
        """All rows in order, `size` at a time, and fewer where they are as large as images."""
        if size < 1:
            raise ParameterError(f"A batch holds at least one row, not {size}. Pass size=1 or more.", parameter="size")
        whole = (range(start, min(start + size, len(self))) for start in range(0, len(self), size))
        return (Batch(self, part) for numbers in whole for part in self._parts(numbers))

    def _parts(self, numbers: range) -> list[range]:
        if len(numbers) == 1 or self._index.store.size(self._order[numbers.start : numbers.stop]) <= _BLOCK_BYTES:
            return [numbers]
        middle = len(numbers) // 2
        return self._parts(numbers[:middle]) + self._parts(numbers[middle:])

    def take(self, indices: Sequence[int]) -> Rows:
        """The rows at `indices`, in that order, as a view; `IndexError` for one that is not there."""
        narrow = "I" if len(self._index.flags) < 1 << 32 else "Q"
        return Rows(self.kind, self._index, array(narrow, map(self._order.__getitem__, indices)))

    def origin(self, index: int) -> Origin:
        """Where row `index` came from."""
        return self._index.origin(self._order[index])

    @property
    def paths(self) -> tuple[str | None, ...]:
        """The files that rows of this store came from, None among them for records from memory."""
        return self._index.paths

    def digest(self, index: int) -> bytes:
        """16 bytes that are equal for equal content, in every process; metadata does not count."""
        return digest_of(self._index.store.read(self._order[index]))

    def digests(self, indices: Sequence[int]) -> list[bytes]:
        """`digest` of several rows."""
        return list(map(digest_of, self._index.store.read_many([self._order[index] for index in indices])))

    def key(self, index: int) -> int:
        """A number of 64 bits, equal for rows that ask the same and in every process.

        Letter case and white space do not count. Where nothing is asked, it is equal for rows of equal content.
        """
        return self._index.keys[self._order[index]]

    def row_keys(self, numbers: range | None = None) -> array[int]:
        """`key` of the rows, or of those with these numbers."""
        order = self._order if numbers is None else self._order[numbers.start : numbers.stop : numbers.step]
        return _picked(self._index.keys, order)

    def flags(self, numbers: range | None = None) -> bytes:
        """What was seen of each row when it was read: a sum of `NOTHING_ASKED`, `BLANK_COMPLETION` and `DAMAGED`."""
        flags = self._index.flags
        order = self._order if numbers is None else self._order[numbers.start : numbers.stop : numbers.step]
        if isinstance(order, range) and order.step == 1:
            return bytes(flags[order.start : order.stop])
        return bytes([flags[number] for number in order])

    def facts(self, numbers: range) -> tuple[array[int], array[int], bytes, array[int] | None]:
        """The lines, keys, flags and, where there are several, places in `paths` of the rows with these numbers."""
        order = self._order[numbers.start : numbers.stop : numbers.step]
        parts = self._index.parts
        return (
            _picked(self._index.lines, order),
            self.row_keys(numbers),
            self.flags(numbers),
            None if parts is None else _picked(parts, order),
        )

    def records(self, numbers: range) -> list[bytes]:
        """The rows with these numbers as they are stored; `finetune_kit._canonical` reads them."""
        return self._index.store.read_many(self._order[numbers.start : numbers.stop : numbers.step])

    def have_metadata(self, numbers: range) -> bool:
        """Whether a row with one of these numbers has any."""
        return any(flag & HAS_METADATA for flag in set(self.flags(numbers)))

    def stored_lengths(self, numbers: range) -> list[int]:
        """The bytes of the records of the rows with these numbers: at least those of their contents."""
        return self._index.store.lengths(self._order[numbers.start : numbers.stop : numbers.step])

    def contents(self, numbers: range) -> bytes:
        """`content_line` of the rows with these numbers, each ended by a line feed, in one piece."""
        store, order = self._index.store, self._order[numbers.start : numbers.stop : numbers.step]
        if self.have_metadata(numbers):
            return b"".join([content_of(record) + b"\n" for record in store.read_many(order)])
        return store.read_joined(order)

    def stored_bytes(self, numbers: range) -> int:
        """What the rows with these numbers take, their metadata included."""
        order = self._order[numbers.start : numbers.stop : numbers.step]
        return self._index.store.size(order)

    def content_line(self, index: int) -> bytes:
        """The canonical JSON of the row's content, without a line feed, as it is written for hosts."""
        return content_of(self._index.store.read(self._order[index]))

    def content_lines(self) -> Iterator[bytes]:
        """`content_line` of every row in order."""
        read = self._index.store.read
        return (content_of(read(number)) for number in self._order)

    def fit(self, size_bytes: int) -> bool:
        """Whether all content lines, their line feeds included, take no more bytes than these."""
        order = self._order
        if self._index.store.size() <= size_bytes and all(map(lt, order, islice(order, 1, None))):
            return True  # what is stored is more than enough room for rows of which none comes twice
        return self.content_bytes() <= size_bytes

    def content_bytes(self) -> int:
        """The bytes of all content lines, their line feeds included."""
        return sum(self.content_lengths()) if self._index.has_metadata else self._index.store.size(self._order)

    def content_lengths(self) -> Iterator[int]:
        """The bytes of each content line in order, its line feed included."""
        store = self._index.store
        if not self._index.has_metadata:
            return iter(store.lengths(self._order))
        flags = self._index.flags
        return (
            len(content_of(store.read(number))) + 1 if flags[number] & HAS_METADATA else store.lengths((number,))[0]
            for number in self._order
        )

    def content_blocks(self) -> Iterator[bytes]:
        """All content lines in order, each ended by a line feed, many in one block."""
        store, has_metadata = self._index.store, self._index.has_metadata
        for start in range(0, len(self), _BLOCK_ROWS):
            numbers = self._order[start : start + _BLOCK_ROWS]
            if not has_metadata:
                yield from store.read_pieces(numbers, size_bytes=_BLOCK_BYTES)
            elif store.size(numbers) > _BLOCK_BYTES:
                yield from (content_of(store.read(number)) + b"\n" for number in numbers)
            else:
                yield b"".join([content_of(record) + b"\n" for record in store.read_many(numbers)])


class Place:
    """The origin of a row, looked up only if a message needs it."""

    __slots__ = ("_row", "_rows")

    def __init__(self, rows: Rows, row: int) -> None:
        self._rows, self._row = rows, row

    def __str__(self) -> str:
        return str(self._rows.origin(self._row))


class RowsBuilder:
    """Collects examples of one kind into `Rows`; only the spooled bytes and what `Index` says are kept."""

    def __init__(self, kind: Kind, *, path: str | None = None) -> None:
        self.kind: Kind = kind
        self._path = path
        self._lines = array("I")
        self._keys = array("Q")
        self._flags = bytearray()
        self._parts: array[int] | None = None
        self._part_of: dict[str | None, int] = {}
        self._spool = Spool()

    def __len__(self) -> int:
        return len(self._flags)

    def add(self, example: Example, *, line: int) -> None:
        """Store one example; `RowError` where it has no faithful JSON form, and then nothing is stored."""
        self.add_from(example, Origin(self._path, line))

    def add_from(self, example: Example, origin: Origin) -> None:
        """Store one example that came from elsewhere than the builder's own file; else like `add`."""
        if kind_of(example) != self.kind:
            raise ParameterError(f"A {kind_of(example)} example cannot stand among {self.kind} examples. Convert it.")
        packed = pack(example)
        self._spool.append(packed.record)
        self._remember([origin.line], packed.key, bytes([packed.flags]), [self._part(origin.path)])

    def add_pairs(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        metadata: Sequence[Mapping[str, JsonValue]] | None = None,
        *,
        lines: Sequence[int],
        written: Sequence[bytes] | None = None,
    ) -> None:
        """Store many completion examples at once.

        Metadata, where there is any, holds nothing but text, truth values, null and whole numbers of 64 bits. `written`
        is each content in its canonical form, where that is known already.
        `RowError` where one of them has no JSON form, and then none is stored.
        """
        if not prompts:
            return
        self._take(pack_pairs(prompts, completions, metadata, written=written), lines)

    def add_chats(
        self,
        conversations: Sequence[Sequence[Mapping[str, str]]],
        *,
        lines: Sequence[int],
        written: Sequence[bytes] | None = None,
    ) -> None:
        """Store many conversations at once, of messages with a role, a content that is text, and nothing else.

        `written` and `RowError` are as in `add_pairs`.
        """
        if conversations:
            self._take(pack_chats(conversations, written=written), lines)

    def _take(self, packed: PackedRows, lines: Sequence[int]) -> None:
        self._spool.append_many(packed.records, packed.lengths)
        self._remember(lines, packed.keys, packed.flags, [self._part(self._path)])

    def copy(self, rows: Rows, numbers: range) -> None:
        """Store rows of this kind again as they are, with where they came from, without reading what is in them."""
        if rows.kind != self.kind:
            raise ParameterError(f"{rows.kind} examples cannot stand among {self.kind} examples. Convert them.")
        lines, keys, flags, parts = rows.facts(numbers)
        records = rows.records(numbers)
        self._spool.append_many(b"".join(records), map(len, records))
        known = [self._part(path) for path in rows.paths]
        self._remember(lines, keys.tobytes(), flags, known if parts is None else [known[part] for part in parts])

    def build(self) -> Rows:
        """The rows; call it once, last."""
        paths = tuple(self._part_of) or (self._path,)
        index = Index(self._spool.seal(), self._lines, self._keys, self._flags, paths, self._parts)
        return Rows(self.kind, index, range(len(self)))

    def _part(self, path: str | None) -> int:
        return self._part_of.setdefault(path, len(self._part_of))

    def _remember(self, lines: Sequence[int], keys: bytes, flags: bytes, parts: list[int]) -> None:
        """Take up rows of one file, or of as many as there are rows."""
        if len(self._part_of) > 1:
            if self._parts is None:
                self._parts = array("H", bytes(2 * len(self)))
            self._parts = _grown(self._parts, parts if len(parts) == len(flags) else parts * len(flags))
        self._lines = _grown(self._lines, lines)
        self._keys.frombytes(keys)
        self._flags += flags


def _grown(values: array[int], more: Sequence[int]) -> array[int]:
    try:
        values += array(values.typecode, more)
    except OverflowError:  # a line beyond 4 billion, a file beyond 65 thousand
        return array("Q", values) + array("Q", more)
    return values


def _rebuild(kind: Kind, index: Index, records: Sequence[bytes]) -> Rows:
    spool = Spool()
    spool.append_many(b"".join(records), map(len, records))
    return Rows(kind, replace(index, store=spool.seal()), range(len(records)))
