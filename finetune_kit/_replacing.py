"""Files that are there as a whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from finetune_kit.errors import StorageError

_ANYBODY = 0o666  # less what the umask takes away, as for any new file


@contextmanager
def replacing(path: str) -> Generator[IO[bytes]]:
    """A new file beside `path` that takes its place at the end, and goes where there is an error."""
    target = Path(path)
    try:
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder; name a file in it")
        if target.exists() and not target.is_file():  # which the administrator could replace, for every program
            raise OSError(errno.EINVAL, "it is a device or a pipe; name a file")
        target = target.resolve()  # what a link points to is replaced, not the link
        temporary = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), _ANYBODY)
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    try:
        with os.fdopen(handle, "wb", buffering=0) as file:
            yield file  # not synced to the disk, which takes as long as all else: it can be written again
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(target.stat().st_mode & 0o777)  # as the file that is there already
        temporary.replace(target)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def _refused(path: str, error: Exception) -> StorageError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return StorageError(f"{path} cannot be written: {reason}. Check the folder, its rights and the space on the disk.")
