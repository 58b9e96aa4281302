"""The folder of an archive: held by one at a time, its files put there whole or not at all, never through a link."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from finetune_kit._home import PRIVATE_FOLDER
from finetune_kit.errors import ParameterError, StorageError
from finetune_kit.launching import Patience, acquired

_PRIVATE_FILE = 0o600  # as its folder: training data lie here, and a folder that was there may be open to all
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_PART = re.compile(r"\.[a-z0-9][a-z0-9_.-]*\.[0-9a-f]{12}\.part")
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class NotWrittenError(StorageError):
    """This machine's disk does not take a file; no question to a host is at fault."""


@dataclass(frozen=True, slots=True)
class Put:
    """A file that was put into a folder."""

    size_bytes: int
    sha256: str


def folder_of(folder: str | os.PathLike[str]) -> Path:
    """The path that a caller passed, `~` for the home of this user."""
    try:
        path = Path(folder).expanduser()
    except (TypeError, RuntimeError) as error:
        raise ParameterError(f"folder={folder!r} is no path: {error}.", parameter="folder") from error
    if "\0" in str(path):
        raise ParameterError("folder holds the character NUL, which no path may.", parameter="folder")
    return path


def made(folder: Path) -> Path:
    """Create a folder and those above it, readable by this user alone."""
    try:
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    except (OSError, UnicodeEncodeError) as error:
        raise _not_written(folder, error) from error
    return folder


@contextmanager
def held(folder: Path, name: str, *, what: str, patience: Patience) -> Generator[None]:
    """Only one process or thread at a time is in here; a folder that cannot be written needs no such care."""
    try:
        lock = acquired(folder / name, what=f"{what} {folder}", patience=patience)
    except StorageError:
        raise
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise _not_written(folder / name, error) from error
        lock = None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()


def tidied(folder: Path) -> None:
    """Remove what killed processes have left half written; to be called by the one that holds the folder."""
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if _PART.fullmatch(path.name):
                path.unlink()


def put(path: Path, pieces: Iterable[bytes]) -> Put:
    """Write a file piece by piece; it takes its place, also that of a link, when all of it is on the disk.

    Raises `NotWrittenError`, and whatever comes of `pieces`; then all is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    digest, size = hashlib.sha256(), 0
    try:
        with _disk(path):
            handle = os.open(temporary, _WRITING, _PRIVATE_FILE)
        with os.fdopen(handle, "wb", buffering=0) as file:
            for piece in pieces:
                digest.update(piece)
                size += len(piece)
                with _disk(path):
                    _write(file, piece)
            with _disk(path):
                os.fsync(file.fileno())  # the host may be gone before the system gets to it
        with _disk(path):
            temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    return Put(size, digest.hexdigest())


def opened(path: Path) -> BinaryIO:
    """A file to read; `OSError` where it is a link, a pipe or a device, which may lead anywhere or never end."""
    handle = os.open(path, _READING)
    file = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode) or path.is_symlink():
        file.close()
        raise OSError(errno.ELOOP, "it is no plain file")
    return file


def _write(file: BinaryIO, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[file.write(left) :]


@contextmanager
def _disk(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise _not_written(path, error) from error


def _not_written(path: Path, error: Exception) -> NotWrittenError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return NotWrittenError(
        f"{path} cannot be written: {reason}. Check the folder, its rights and the space on the disk, and call again."
    )
