"""Only one process or thread at a time does a thing; the system frees a lock whose holder has died."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_kit._clock import clock
from finetune_kit._home import writing
from finetune_kit.errors import StorageError
from finetune_kit.launching.patience import Patience

if TYPE_CHECKING:
    from filelock import BaseFileLock

_LOOK_SECONDS = 0.1

_log = logging.getLogger("finetune_kit")


@contextmanager
def alone(folder: Path, *key: str, what: str, patience: Patience) -> Generator[None]:
    """Hold the lock of this key; `StorageError` where another holder outlasts the patience."""
    path = folder / f"{hashlib.sha256(chr(0).join(key).encode()).hexdigest()[:32]}.lock"
    with writing(path):
        lock = acquired(path, what=what, patience=patience)
    try:
        yield
    finally:
        lock.release()


def acquired(path: Path, *, what: str, patience: Patience) -> BaseFileLock:
    """The lock that is this file, to be released; `OSError` where it cannot be made, `StorageError` as above."""
    from filelock import FileLock

    lock = FileLock(path)
    told = False
    while not _taken(lock):
        if not patience.left:
            raise StorageError(f"another process or thread has been {what} all the time.", retryable=True)
        if not told:
            told = True
            _log.warning("Another process or thread is %s; waiting for it.", what)
        clock().sleep(_LOOK_SECONDS)
    return lock


def _taken(lock: BaseFileLock) -> bool:
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:  # it is an `OSError`
        return False
    return True
