"""Records of bytes in an anonymous temporary file, memory-mapped: any number, flat memory, gone with the object."""

from __future__ import annotations

import contextlib
import mmap
import sys
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, compress, islice, pairwise
from operator import sub
from typing import IO

from finetune_kit._background import Background
from finetune_kit.errors import StorageError

_WRITE_BUFFER_BYTES = 1 << 20
_NARROW_MAX = (1 << 32) - 1
_LARGE_BYTES = 1 << 16  # from here on, a thread of its own pays

# The kernel counts mapped pages as this process's memory, and maps 16 pages around each one touched. They are handed
# back once they span this many bytes, and as many bytes or this many rows were read; the page cache keeps them.
_KEEP_BYTES = 16 << 20
_KEEP_READS = 256


def _storage_error(error: OSError) -> StorageError:
    reason = error.strerror or str(error)
    return StorageError(
        f"The rows cannot be kept in the temporary folder {tempfile.gettempdir()!r}: {reason}. "
        "Free some space there, or set TMPDIR to a folder that has it."
    )


class Spool:
    """The writing side: records are appended, then sealed once."""

    def __init__(self) -> None:
        try:
            # Anonymous: it has no name, so it vanishes with its last user, after a crash too.
            self._file: IO[bytes] = tempfile.TemporaryFile(buffering=_WRITE_BUFFER_BYTES)  # noqa: SIM115
        except OSError as error:
            reason = error.strerror or str(error)
            raise StorageError(
                f"No temporary file can be made for the rows: {reason}. Set TMPDIR to a folder that can be written."
            ) from error
        weakref.finalize(self, _close, self._file)
        self._offsets = array("I", [0])
        self._background: Background | None = None

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def append(self, record: bytes) -> None:
        """Write one record behind the others."""
        self._write(record)
        self._make_room(len(record))
        self._offsets.append(self._offsets[-1] + len(record))

    def append_many(self, records: bytes, lengths: Iterable[int]) -> None:
        """Write several records that stand one behind the other, at once."""
        self._write(records)
        self._make_room(len(records))
        ends = accumulate(lengths, initial=self._offsets.pop())
        self._offsets.extend(ends)

    def _make_room(self, size_bytes: int) -> None:
        """Half of the bytes an offset do until there are 4 GB."""
        if self._offsets.typecode == "I" and self._offsets[-1] + size_bytes > _NARROW_MAX:
            self._offsets = array("Q", self._offsets)

    def _write(self, data: bytes) -> None:
        try:
            if self._background is None and len(data) >= _LARGE_BYTES:
                self._background = Background(self._file.write)
            if self._background is None:
                self._file.write(data)
            else:
                self._background.put(data)  # all that follows, so that it stays in order
        except OSError as error:
            _close(self._file)
            raise _storage_error(error) from error

    def seal(self) -> Store:
        """What was written, for reading; nothing can be appended afterwards."""
        try:
            if self._background is not None:
                self._background.finish()
            self._file.flush()
            mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if self._offsets[-1] else None
        except OSError as error:
            raise _storage_error(error) from error
        finally:
            _close(self._file)  # the mapping holds it open
        return Store(mapped, self._offsets)


def _close(file: IO[bytes]) -> None:
    # Closing a file that could not be written tries once more; it is closed even so.
    with contextlib.suppress(OSError):
        file.close()


class Store:
    """The reading side: any record by its number; safe to read from several threads."""

    __slots__ = ("_high", "_low", "_mapped", "_offsets", "_read_bytes", "_reads")

    def __init__(self, mapped: mmap.mmap | None, offsets: array[int]) -> None:
        self._mapped = mapped
        self._offsets = offsets
        self._low, self._high = offsets[-1], 0
        self._reads, self._read_bytes = 0, 0

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __reduce__(self) -> tuple[type[Store], tuple[None, array[int]]]:
        return Store, (None, array("Q", [0]))  # what it holds travels beside it

    def read(self, number: int) -> bytes:
        """Record `number`."""
        start, stop = self._offsets[number], self._offsets[number + 1]
        if self._mapped is None:
            return b""
        record = self._mapped[start:stop]
        self._mark(start, stop, 1, stop - start)
        return record

    def read_many(self, numbers: Sequence[int]) -> list[bytes]:
        """The records of these numbers."""
        if self._mapped is None or not numbers:
            return [b""] * len(numbers)
        offsets, mapped = self._offsets, self._mapped
        spans = [(offsets[number], offsets[number + 1]) for number in numbers]
        records = [mapped[start:stop] for start, stop in spans]
        self._mark(min(spans)[0], max(spans)[1], len(spans), sum(map(len, records)))
        return records

    def read_joined(self, numbers: Sequence[int]) -> bytes:
        """The records of these numbers, one behind the other in one piece."""
        if self._mapped is None or not numbers:
            return b""
        return b"".join(self.read_pieces(numbers, size_bytes=self.size()))

    def read_pieces(self, numbers: Sequence[int], *, size_bytes: int) -> Iterator[bytes]:
        """The records of these numbers, one behind the other in one piece, or singly where that would be larger."""
        if self._mapped is None or not numbers:
            return
        spans, mapped = self._spans(numbers), self._mapped
        total = sum(stop - start for start, stop in spans)
        if total > size_bytes:
            yield from map(self.read, numbers)
            return
        yield b"".join([mapped[start:stop] for start, stop in spans])
        self._mark(min(spans)[0], max(spans)[1], len(numbers), total)

    def size(self, numbers: Sequence[int] | None = None) -> int:
        """The bytes of all of these records, or of all there are."""
        return self._offsets[-1] if numbers is None else sum(stop - start for start, stop in self._spans(numbers))

    def _spans(self, numbers: Sequence[int]) -> list[tuple[int, int]]:
        """Where the records of these numbers stand, those in a row as one."""
        if not numbers:
            return []
        offsets = self._offsets
        if isinstance(numbers, range) and numbers.step == 1:
            return [(offsets[numbers.start], offsets[numbers.stop])]
        # A loop in C for what mostly is: one follows the other.
        steps = map(sub, islice(numbers, 1, None), numbers)
        firsts = [0, *compress(range(1, len(numbers)), map((1).__ne__, steps)), len(numbers)]
        return [(offsets[numbers[first]], offsets[numbers[next_ - 1] + 1]) for first, next_ in pairwise(firsts)]

    def lengths(self, numbers: Sequence[int]) -> list[int]:
        """The bytes of each of these records."""
        offsets = self._offsets
        if isinstance(numbers, range) and numbers.step == 1:
            ends = offsets[numbers.start : numbers.stop + 1]
            return list(map(sub, ends[1:], ends))
        return [offsets[number + 1] - offsets[number] for number in numbers]

    def _mark(self, start: int, stop: int, reads: int, size_bytes: int) -> None:
        self._low, self._high = min(self._low, start), max(self._high, stop)
        self._reads += reads
        self._read_bytes += size_bytes
        much = self._reads >= _KEEP_READS or self._read_bytes > _KEEP_BYTES
        if much and self._high - self._low > _KEEP_BYTES:
            self._release()

    def _release(self) -> None:
        # Threads may race for these marks; the worst that follows is a page that is mapped again or handed back later.
        start = self._low - self._low % mmap.PAGESIZE
        length = self._high - start
        self._forget()
        if sys.platform != "win32" and self._mapped is not None and length > 0:
            self._mapped.madvise(mmap.MADV_DONTNEED, start, length)

    def _forget(self) -> None:
        self._low, self._high = self._offsets[-1], 0
        self._reads, self._read_bytes = 0, 0
