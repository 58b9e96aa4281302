"""Rows as the file that a host takes: JSON Lines, whole or not at all, and the same bytes every time."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain, takewhile
from typing import IO

from finetune_kit._background import Background
from finetune_kit._refused import RefusedRows
from finetune_kit._replacing import replacing
from finetune_kit.errors import FileTooLargeError
from finetune_kit.hosts import FileRules
from finetune_kit.rows import Rows


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file as it was written."""

    path: str
    size_bytes: int
    sha256: str
    """Of all bytes of the file, in hexadecimal digits."""
    encoding: str
    bom: bool
    """Whether it begins with a byte-order mark."""
    rows: int


def write_rows(rows: Rows, path: str | os.PathLike[str], rules: FileRules) -> WrittenFile:
    """Write the canonical JSON of each row on a line of its own, as the host of `rules` wants it.

    The size is known before anything is written; `FileTooLargeError` where it is over the host's limit. A file that is
    there already is replaced in one step, or, on an error, left as it is: `StorageError` where the disk says no.
    """
    name = os.fsdecode(path)
    mark = codecs.BOM_UTF8 if rules.byte_order_mark else b""
    _check_size(rows, len(mark), rules, path=name)
    size_bytes, sha256 = _written(chain((mark,), rows.content_blocks()), name)
    return WrittenFile(name, size_bytes, sha256, "utf-8", bool(mark), len(rows))


def write_refused(rows: RefusedRows, path: str | os.PathLike[str]) -> WrittenFile:
    """Write rows that could not be read, each as a JSON object with the reason; atomically, as `write_rows`."""
    name = os.fsdecode(path)
    size_bytes, sha256 = _written(rows.lines(), name)
    return WrittenFile(name, size_bytes, sha256, "utf-8", bom=False, rows=len(rows))


def _written(blocks: Iterable[bytes], path: str) -> tuple[int, str]:
    """The size and the hash of the file that the blocks became."""
    size_bytes, sha256 = 0, hashlib.sha256()
    with replacing(path) as file:
        writing, hashing = Background(partial(_write, file)), Background(sha256.update)
        try:
            for block in blocks:
                writing.put(block)
                hashing.put(block)
                size_bytes += len(block)
        finally:
            writing.finish()
            hashing.finish()
    return size_bytes, sha256.hexdigest()


def _write(file: IO[bytes], block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[file.write(left) :]


def _check_size(rows: Rows, size_bytes: int, rules: FileRules, *, path: str) -> None:
    if not rows.fit(rules.max_file_bytes - size_bytes):
        needed = size_bytes + rows.content_bytes()
        ends = accumulate(rows.content_lengths(), initial=size_bytes)
        fitting = sum(1 for _ in takewhile(lambda end: end <= rules.max_file_bytes, ends)) - 1
        raise FileTooLargeError(
            f"{path}: the {len(rows):,} rows would take {needed:,} bytes, and {rules.name!r} takes at most "
            f"{rules.max_file_bytes:,} in one file ({rules.as_of}). The first {fitting:,} rows would fit: write fewer.",
            path=path,
            size_bytes=needed,
            max_bytes=rules.max_file_bytes,
            rows_that_fit=fitting,
        )
