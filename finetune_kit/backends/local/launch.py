"""Starting the worker process, and noticing when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from finetune_kit.backends.local.device import quiet_threads
from finetune_kit.backends.local.home import DISK_FULL_STATUS, Home
from finetune_kit.backends.local.store import Store
from finetune_kit.errors import EngineError

_WORKER_MODULE = "finetune_kit.backends.local.worker"
_SPAWN_PAUSE_SECONDS = 5.0
"""Within this time a started worker has taken the lock."""
_LAST_WORDS_BYTES = 4096
_QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1", "PYTHONUNBUFFERED": "1"}
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0
_children: list[tuple[Path, subprocess.Popen[bytes]]] = []
"""Workers that this process started, each with its home: kept so that finished ones are reaped."""


def start_worker(home: Home, store: Store) -> None:
    """Start a worker for a new job: one that trains now may be at its end, and this caller may never look again."""
    store.may_spawn(pause_seconds=0.0)
    _spawn(home)


def ensure_worker(home: Home, store: Store) -> None:
    """Start a worker unless one trains, or one was started a moment ago.

    Raises `EngineError` with the worker's last words where one that this process started has ended in an error.
    """
    failed = _reap(home)
    if _is_training(home):
        return
    if failed:
        raise EngineError(
            f"the worker process ended in an error: {_last_words(home)}. The whole of it is in {home.worker_log}; the "
            "job waits, and is tried again at the next look."
        )
    if store.may_spawn(pause_seconds=_SPAWN_PAUSE_SECONDS):
        _spawn(home)


def _is_training(home: Home) -> bool:
    """Whether some process holds the training lock."""
    from filelock import FileLock, Timeout

    with home.writing(home.training_lock):
        try:
            with FileLock(home.training_lock).acquire(blocking=False):
                return False
        except Timeout:
            return True


def _spawn(home: Home) -> None:
    """Start a worker that outlives this process and does not hear its Ctrl-C."""
    environment = {**os.environ, **_QUIET, "PYTHONSAFEPATH": "1"}
    quiet_threads(environment)
    # The package may have been found through the caller's working directory.
    own_path = str(Path(__file__).parents[3])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [own_path, environment.get("PYTHONPATH", "")]))
    with home.writing(home.worker_log), home.worker_log.open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", _WORKER_MODULE, str(home.root)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.root,
            env=environment,
            start_new_session=True,
            creationflags=_CREATION_FLAGS,
        )
    _children.append((home.root, worker))


def _reap(home: Home) -> bool:
    """Forget workers that have ended; return whether one of this home ended in an error of its own.

    Not by a signal, nor for want of space: whoever starts the next one is told of that by the database.
    """
    ended = [(root, worker) for root, worker in _children if worker.poll() is not None]
    _children[:] = [child for child in _children if child not in ended]
    statuses = [worker.returncode for root, worker in ended if root == home.root]
    return any(status > 0 and status != DISK_FULL_STATUS for status in statuses)


def _last_words(home: Home) -> str:
    with home.writing(home.worker_log), home.worker_log.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - _LAST_WORDS_BYTES))
        lines = log.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no words")
