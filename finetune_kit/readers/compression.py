"""Files packed with gzip or zstd, known by their first bytes: unpacked into a temporary file that has no name."""

from __future__ import annotations

import gzip
import os
import sys
import tempfile
import zlib
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from typing import Any, BinaryIO

from finetune_kit._extras import missing, require
from finetune_kit.errors import EmptyDataError, FormatError, MissingExtraError, StorageError

LARGEST_UNPACKED_BYTES = 8 << 30
"""What a packed file may unpack to. No host takes a tenth of it, and a larger one can be unpacked by hand."""

# Text that people write packs to a tenth or a fiftieth; deflate's limit, which bombs use, is 1:1032.
_BOMB_RATIO = 200
_BOMB_BYTES = 256 << 20

_PIECE_BYTES = 1 << 20
_PACKINGS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}


def packing_of(head: bytes) -> str | None:
    """`gzip` or `zstd` where a file that begins with `head` is packed so."""
    return next((packing for magic, packing in _PACKINGS.items() if head.startswith(magic)), None)


@contextmanager
def unpacked(file: BufferedReader, packing: str, *, path: str) -> Generator[BufferedReader]:
    """What is in the packed `file`, for reading as often as one likes."""
    with ExitStack() as stack:
        try:
            plain = stack.enter_context(tempfile.TemporaryFile())
        except OSError as error:
            raise _no_space(error, path) from error
        _pour(file, packing, into=plain, path=path)
        plain.seek(0)
        yield stack.enter_context(os.fdopen(os.dup(plain.fileno()), "rb"))


def _pour(file: BufferedReader, packing: str, *, into: BinaryIO, path: str) -> None:
    size = 0
    stream, damage = _stream(file, packing, path=path)
    with stream:
        while True:
            try:
                piece = stream.read(_PIECE_BYTES)
            except damage as error:
                raise FormatError(
                    f"{path}: the {packing} data is cut off or damaged after {size:,} unpacked bytes: {error}. "
                    "Fetch or pack the file again.",
                    path=path,
                ) from error
            if not piece:
                break
            size += len(piece)
            _check_size(size, file.tell(), packing, path=path)
            try:
                into.write(piece)
            except OSError as error:
                raise _no_space(error, path) from error
    if not size:
        raise EmptyDataError(f"{path}: there is nothing in the {packing} file. Check the export.", path=path)
    try:
        into.flush()
    except OSError as error:
        raise _no_space(error, path) from error


def _stream(file: BufferedReader, packing: str, *, path: str) -> tuple[Any, tuple[type[Exception], ...]]:
    """The unpacking stream, and the errors by which it tells of damage."""
    if packing == "gzip":
        return gzip.GzipFile(fileobj=file), (EOFError, gzip.BadGzipFile, zlib.error)
    purpose = f"Unpacking {path}"
    try:
        zstd: Any = require(
            "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd", extra="zstd", purpose=purpose
        )
    except MissingExtraError:
        raise missing("backports.zstd", extra="zstd", purpose=purpose) from None
    return zstd.ZstdFile(file), (EOFError, zstd.ZstdError)


def _check_size(size: int, packed: int, packing: str, *, path: str) -> None:
    if size > LARGEST_UNPACKED_BYTES or (size > _BOMB_BYTES and size > _BOMB_RATIO * packed):
        raise FormatError(
            f"{path}: {packed:,} bytes of {packing} unpack to more than {size:,}, as a file does that is made to fill "
            "disks. If you trust it, unpack it first, and read the result.",
            path=path,
        )


def _no_space(error: OSError, path: str) -> StorageError:
    reason = error.strerror or str(error)
    return StorageError(
        f"{path} cannot be unpacked in the temporary folder {tempfile.gettempdir()!r}: {reason}. "
        "Free some space there, or set TMPDIR to a folder that has it."
    )
