"""Bytes on their way, counted as they are read."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

if TYPE_CHECKING:
    from typing_extensions import Buffer


def metered(content: BinaryIO, on_progress: Callable[[int], None] | None) -> BinaryIO:
    """`content`, telling `on_progress` after each piece how many of its bytes have been read."""
    return content if on_progress is None else cast("BinaryIO", _Metered(content, on_progress))


class Total:
    """One count over several files that are sent at once."""

    def __init__(self, sent: int, on_progress: Callable[[int], None] | None) -> None:
        self._base, self._on_progress, self._lock = sent, on_progress, threading.Lock()
        self._parts: dict[int, int] = {}

    def of_part(self, number: int) -> Callable[[int], None] | None:
        """What is to be told how much of one of them was sent; one that is sent again begins at nothing."""
        if self._on_progress is None:
            return None

        def told(sent: int) -> None:
            with self._lock:
                self._parts[number] = sent
                if self._on_progress is not None:
                    self._on_progress(self._base + sum(self._parts.values()))

        return told


class _Metered(io.RawIOBase):
    def __init__(self, content: BinaryIO, on_progress: Callable[[int], None]) -> None:
        self._content, self._on_progress = content, on_progress

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._content.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._content.seek(offset, whence)

    def read(self, size: int = -1, /) -> bytes:
        data = self._content.read(size)
        if data:
            self._on_progress(self._content.tell())
        return data

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
