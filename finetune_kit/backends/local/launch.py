"""Starting the worker process, and noticing when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from finetune_kit.backends.local.device import quiet_threads
from finetune_kit.backends.local.home import DISK_FULL_STATUS, Home
from finetune_kit.backends.local.store import Store
from finetune_kit.errors import EngineError

_WORKER_MODULE = "finetune_kit.backends.local.worker"
_SPAWN_PAUSE_SECONDS = 5.0
"""Within this time a started worker has taken the lock."""
MEETING_SECONDS = 1.0
"""Within this time a wish is met; a worker that has not stopped by then is ended."""
SILENT_SECONDS = 60.0
"""A worker that lives is heard of every few seconds."""
_SECOND_LOOK_SECONDS = 2.0
_LOOK_SECONDS = 0.02
_LAST_WORDS_BYTES = 4096
_QUIET = {"HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1", "PYTHONUNBUFFERED": "1"}
if sys.platform == "win32":
    _CREATION_FLAGS = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
else:
    _CREATION_FLAGS = 0
_children: list[tuple[Path, subprocess.Popen[bytes]]] = []
"""Workers that this process started, each with its home: kept so that finished ones are reaped."""
_silent: dict[Path, tuple[float, float]] = {}
"""By home: when a silent worker was last heard of, and when this process has noticed it, by a clock of its own."""


def start_worker(home: Home, store: Store) -> None:
    """Start a worker for a new job: one that trains now may be at its end, and this caller may never look again."""
    store.may_spawn(pause_seconds=0.0)
    _spawn(home)


def ensure_worker(home: Home, store: Store) -> None:
    """Start a worker unless one trains, or one was started a moment ago.

    Raises `EngineError` with the worker's last words where one that this process started has ended in an error.
    """
    failed = _reap(home)
    if _is_training(home) and not _ended_silent(home, store):
        return
    if failed:
        raise EngineError(
            f"the worker process ended in an error: {_last_words(home)}. The whole of it is in {home.worker_log}; the "
            "job waits, and is tried again at the next look."
        )
    if store.may_spawn(pause_seconds=_SPAWN_PAUSE_SECONDS):
        _spawn(home)


def see_to_wish(home: Home, store: Store, job_id: str) -> None:
    """Return once the job is put down as was wished; a worker that does not stop within a second is ended.

    Where it cannot be ended, because it is not to be seen from here, the wish stays for it.
    """
    from filelock import FileLock, Timeout

    deadline, ended = time.monotonic() + MEETING_SECONDS, False
    while store.wish(job_id):
        with home.writing(home.training_lock):
            try:
                with FileLock(home.training_lock).acquire(blocking=False):
                    store.obey(job_id, go_on=True)  # whoever had it in hand is dead
                    break
            except Timeout:
                pass
        if time.monotonic() >= deadline:
            worker = store.worker()
            if ended or worker is None or not worker[0].kill():
                return
            ended, deadline = True, deadline + MEETING_SECONDS
        time.sleep(_LOOK_SECONDS)
    if store.waits() and not _is_training(home):
        start_worker(home, store)


def _ended_silent(home: Home, store: Store) -> bool:
    """End a worker that has hung, and return whether there was one.

    Two looks have to find the same silence: after a sleep of the machine, or when its clock was set, all are silent.
    """
    worker = store.worker()
    if worker is None or time.time() - worker[1] < SILENT_SECONDS:
        _silent.pop(home.root, None)
        return False
    heard_at, noticed = _silent.setdefault(home.root, (worker[1], time.monotonic()))
    if heard_at != worker[1]:
        del _silent[home.root]
        return False
    if time.monotonic() - noticed < _SECOND_LOOK_SECONDS or not worker[0].kill():
        return False
    del _silent[home.root]
    store.tell_in_hand(
        f"Nothing was heard of the worker (process {worker[0].pid}) for {time.time() - heard_at:.0f} s, though it "
        "lived: it was ended, and a new one goes on from the last saved state."
    )
    until = time.monotonic() + MEETING_SECONDS
    while _is_training(home) and time.monotonic() < until:  # the system frees the lock in a moment
        time.sleep(_LOOK_SECONDS)
    return True


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
