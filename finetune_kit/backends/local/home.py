"""The engine's home folder: where weights, files, jobs and models lie."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from finetune_kit._extras import require
from finetune_kit.errors import FinetuneKitError, StorageError

ENVIRONMENT_VARIABLE = "FINETUNE_KIT_HOME"
_PRIVATE = 0o700  # training data lies here


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one home."""

    root: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str] | None = None) -> Home:
        """`path`, else the environment variable FINETUNE_KIT_HOME, else this user's data folder."""
        chosen = path or os.environ.get(ENVIRONMENT_VARIABLE)
        if not chosen:
            platformdirs = require("platformdirs", extra="local", purpose="finding the home folder")
            chosen = platformdirs.user_data_dir("finetune_kit", appauthor=False)
        return cls(Path(chosen).expanduser().absolute())

    @property
    def database(self) -> Path:
        """Files, jobs, events, checkpoints and models."""
        return self.root / "engine.sqlite3"

    @property
    def worker_log(self) -> Path:
        """What worker processes print; a crash leaves its last words here."""
        return self.root / "worker.log"

    @property
    def training_lock(self) -> Path:
        """Held by the one process that trains; the system frees it when that process dies."""
        return self.root / "training.lock"

    def blob(self, sha256: str) -> Path:
        """A stored file."""
        return self.root / "files" / sha256

    def base(self, name: str) -> Path:
        """A base model as safetensors."""
        return self.root / "bases" / name

    def job(self, job_id: str) -> Path:
        """A job's checkpoints, and its adapter when it has succeeded."""
        return self.root / "jobs" / job_id

    def make(self, folder: Path) -> Path:
        """Create `folder` and those above it, readable by this user alone."""
        with self.writing(folder):
            folder.mkdir(mode=_PRIVATE, parents=True, exist_ok=True)
        return folder

    @contextmanager
    def writing(self, what: Path) -> Generator[None]:
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


@contextmanager
def writing_tensors() -> Generator[None]:
    """Turn what safetensors raises on a full disk into an `OSError`, as other writers raise it."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        full = "No space left" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
