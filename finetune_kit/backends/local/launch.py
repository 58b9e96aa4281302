"""Starting the worker process, and noticing when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from finetune_kit.backends.local.device import quiet_threads
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.store import Store

_WORKER_MODULE = "finetune_kit.backends.local.worker"
_SPAWN_PAUSE_SECONDS = 5.0
"""Within this time a started worker has taken the lock."""
_children: list[subprocess.Popen[bytes]] = []
"""Kept so that finished workers are reaped and none is warned about."""


def spawn(home: Home) -> None:
    """Start a worker that outlives this process and does not hear its Ctrl-C."""
    _children[:] = [child for child in _children if child.poll() is None]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    quiet_threads(environment)
    # The package may have been found through the caller's working directory.
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[3]), environment.get("PYTHONPATH", "")])
    )
    detached: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        detached = {"creationflags": subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP}
    with home.writing(home.worker_log), home.worker_log.open("ab") as log:
        _children.append(
            subprocess.Popen(
                [sys.executable, "-m", _WORKER_MODULE, str(home.root)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=home.root,
                env=environment,
                **detached,
            )
        )


def ensure_worker(home: Home, store: Store) -> None:
    """Start a worker unless one trains, or one was started a moment ago."""
    from filelock import FileLock, Timeout

    lock = FileLock(home.training_lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return
    lock.release()
    if store.may_spawn(pause_seconds=_SPAWN_PAUSE_SECONDS):
        spawn(home)
