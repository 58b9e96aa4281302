"""Files on their way to a backend: complete and hashed before the first byte is sent."""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import tempfile
import threading
import weakref
from collections.abc import Iterable, Iterator
from functools import partial
from typing import IO, TYPE_CHECKING, BinaryIO, Self, cast

from finetune_kit.errors import StorageError

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BUFFER_BYTES = 1 << 20


class SpooledFile:
    """A file in an anonymous temporary file: it vanishes with its last user, after a crash too; memory stays flat."""

    file_id: str | None = None
    """Its id, where the backend has it already."""

    def __init__(self, file: IO[bytes], *, filename: str, size_bytes: int, sha256: str, rows: int) -> None:
        self._file, self._lock = file, threading.Lock()
        weakref.finalize(self, file.close)
        self.filename, self.size_bytes, self.sha256, self.rows = filename, size_bytes, sha256, rows

    @classmethod
    def of(cls, lines: Iterable[bytes], *, filename: str, byte_order_mark: bool = False) -> SpooledFile:
        """JSON lines, given without their ends; `StorageError` where the temporary folder cannot hold them."""
        digest, size, rows = hashlib.sha256(), 0, 0
        try:
            file: IO[bytes] = tempfile.TemporaryFile(buffering=_BUFFER_BYTES)  # noqa: SIM115 - closed with the object
            if byte_order_mark:
                digest.update(codecs.BOM_UTF8)
                size += file.write(codecs.BOM_UTF8)
            for line in lines:
                ended = line + b"\n"
                digest.update(ended)
                size += file.write(ended)
                rows += 1
            file.flush()
        except OSError as error:
            raise StorageError(
                f"{filename} cannot be kept in the temporary folder {tempfile.gettempdir()!r}: "
                f"{error.strerror or error}. Free some space there, or set TMPDIR to a folder that has it."
            ) from error
        return cls(file, filename=filename, size_bytes=size, sha256=digest.hexdigest(), rows=rows)

    def read_at(self, offset: int, size_bytes: int) -> bytes:
        """Up to `size_bytes` from `offset` on; may be called from several threads."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size_bytes, offset)
        with self._lock:
            self._file.seek(offset)
            return self._file.read(size_bytes)

    def open(self, start: int = 0, end: int | None = None) -> BinaryIO:
        """A reader of its own over the bytes from `start` to `end`; many can be open at once."""
        reader = _Reader(self, start, self.size_bytes if end is None else min(end, self.size_bytes))
        return cast("BinaryIO", io.BufferedReader(reader, _BUFFER_BYTES))

    def lines(self) -> Iterator[bytes]:
        """Each line without its end, and without a byte-order mark."""
        with self.open() as reader:
            for place, line in enumerate(reader):
                yield (line if place else line.removeprefix(codecs.BOM_UTF8)).removesuffix(b"\n")

    def blocks(self) -> Iterator[bytes]:
        """All of it, a megabyte at a time."""
        with self.open() as reader:
            yield from iter(partial(reader.read, _BUFFER_BYTES), b"")

    def content(self) -> bytes:
        """All of it."""
        with self.open() as reader:
            return reader.read()

    def close(self) -> None:
        """Let go of the temporary file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SpooledFile {self.filename}: {self.size_bytes:,} bytes, {self.rows:,} rows>"


class _Reader(io.RawIOBase):
    def __init__(self, file: SpooledFile, start: int, end: int) -> None:
        self._spooled, self._start, self._end, self._place = file, start, end, start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place - self._start

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: self._start, io.SEEK_CUR: self._place, io.SEEK_END: self._end}[whence]
        self._place = max(self._start, origin + offset)
        return self.tell()

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self._spooled.read_at(self._place, min(len(view), max(0, self._end - self._place)))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)
