"""The engine's home folder: where weights, files, jobs and models lie."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from finetune_kit._home import home_folder, make_folder, writing

DISK_FULL_STATUS = 74
"""How a worker process ends that could not even write down what it died of; as in the C library's sysexits.h."""


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one home."""

    root: Path

    @classmethod
    def at(cls, path: str | os.PathLike[str] | None = None) -> Home:
        """`path`, else the environment variable FINETUNE_KIT_HOME, else this user's data folder."""
        return cls(home_folder(path))

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
        return make_folder(folder)

    def writing(self, what: Path) -> AbstractContextManager[None]:
        """Turn an `OSError` into a `StorageError` that says what to do."""
        return writing(what)


@contextmanager
def writing_tensors() -> Generator[None]:
    """Turn what safetensors raises on a full disk into an `OSError`, as other writers raise it."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        full = "No space left" in str(error)
        raise OSError(errno.ENOSPC if full else errno.EIO, str(error)) from error
