"""The bytes of a file at the host: small ones in memory, large ones on disk, in the pieces in which they came."""

from __future__ import annotations

import codecs
import hashlib
import tempfile
import threading
import weakref
from collections.abc import Iterator

_IN_MEMORY_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20


class Blob:
    """Grows while it is received; afterwards it is only read."""

    def __init__(self) -> None:
        self._spool = tempfile.SpooledTemporaryFile[bytes](max_size=_IN_MEMORY_BYTES)
        weakref.finalize(self, self._spool.close)
        self._lock = threading.Lock()
        self.size = 0

    def write(self, data: memoryview | bytes, /) -> int:
        """Append."""
        self.size += len(data)
        return self._spool.write(data)

    def blocks(self) -> Iterator[bytes]:
        """All of it, a megabyte at a time; other readers may be on their way as well."""
        place = 0
        while place < self.size:
            with self._lock:  # a checksum may be computed in another thread
                self._spool.seek(place)
                block = self._spool.read(_BLOCK_BYTES)
            place += len(block)
            yield block

    def close(self) -> None:
        """Let go of it."""
        self._spool.close()


class Content:
    """A file made of one blob or of several parts."""

    def __init__(self, *blobs: Blob) -> None:
        self.blobs = blobs
        self.size = sum(blob.size for blob in blobs)

    def blocks(self) -> Iterator[bytes]:
        """All of it."""
        for blob in self.blobs:
            yield from blob.blocks()

    def read(self) -> bytes:
        """All of it at once."""
        return b"".join(self.blocks())

    def lines(self) -> Iterator[bytes]:
        """Each line without its end."""
        rest = b""
        for block in self.blocks():
            *whole, rest = (rest + block).split(b"\n")
            yield from whole
        if rest:
            yield rest

    def marked(self) -> bool:
        """Whether it begins with a byte-order mark."""
        return next(self.blocks(), b"").startswith(codecs.BOM_UTF8)

    def md5(self) -> str:
        """In hexadecimal digits."""
        digest = hashlib.md5(usedforsecurity=False)
        for block in self.blocks():
            digest.update(block)
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of it."""
        for blob in self.blobs:
            blob.close()


def content_of(data: bytes) -> Content:
    """Bytes that the host made itself."""
    blob = Blob()
    blob.write(data)
    return Content(blob)
