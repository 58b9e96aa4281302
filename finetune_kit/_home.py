"""The one folder where the package keeps what must outlive a process, and the errors of a disk in plain words."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from finetune_kit.errors import FinetuneKitError, StorageError

ENVIRONMENT_VARIABLE = "FINETUNE_KIT_HOME"
PRIVATE_FOLDER = 0o700  # training data and the names of jobs lie here
LEAST_FREE_BYTES = 1_000_000
"""With less on a disk, errors of writing mean that files cannot grow."""


def home_folder(path: str | os.PathLike[str] | None = None) -> Path:
    """`path`, else the environment variable FINETUNE_KIT_HOME, else this user's data folder; absolute."""
    chosen = path or os.environ.get(ENVIRONMENT_VARIABLE) or platformdirs.user_data_dir("finetune_kit", appauthor=False)
    return Path(chosen).expanduser().absolute()


def make_folder(folder: Path) -> Path:
    """Create `folder` and those above it, readable by this user alone."""
    with writing(folder):
        folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    return folder


@contextmanager
def writing(what: Path) -> Generator[None]:
    """Turn an `OSError` into a `StorageError` that says what to do."""
    try:
        yield
    except FinetuneKitError:  # some are kinds of OSError, and say what to do already
        raise
    except OSError as error:
        raise storage_error(error, what) from error


def storage_error(error: OSError, what: Path) -> StorageError:
    """The error for a file or folder that cannot be used."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"no space is left on the disk that holds {what}. Free some, or point {ENVIRONMENT_VARIABLE} at another "
            "disk."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(
            f"{what} cannot be written ({error.strerror}). Point {ENVIRONMENT_VARIABLE} at a folder of yours."
        )
    return StorageError(f"{what} cannot be used: {error.strerror or error}.")


def settle(folder: Path) -> None:
    """Have the names of new files outlive a loss of power as their content does."""
    if os.name == "nt":  # where folders cannot be opened
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
