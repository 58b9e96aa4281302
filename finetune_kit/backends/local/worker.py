"""The worker process: holds the training lock, takes jobs in the order they were made, and trains them one by one.

Started as `python -m finetune_kit.backends.local.worker HOME` by whoever makes a job or finds one without a worker.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from pathlib import Path

from finetune_kit._home import LEAST_FREE_BYTES
from finetune_kit.backends.local.guard import Guard
from finetune_kit.backends.local.home import DISK_FULL_STATUS, Home
from finetune_kit.backends.local.launch import start_worker
from finetune_kit.backends.local.process import Process
from finetune_kit.backends.local.run import run_job
from finetune_kit.backends.local.state import StateFile
from finetune_kit.backends.local.store import LIVE, Store
from finetune_kit.backends.protocol import JobFault
from finetune_kit.errors import FinetuneKitError, StorageError

MOST_ATTEMPTS = 3
"""A job whose workers die so often at the same step is given up."""
_LOCK_POLL_SECONDS = 0.2


def main(root: str) -> None:
    """Train every job that waits, then end."""
    from filelock import FileLock, Timeout

    home = Home(Path(root))
    store = Store(home)
    next_in_line = FileLock(home.root / "next.lock")
    try:
        next_in_line.acquire(blocking=False)
    except Timeout:
        return  # another worker waits for its turn, and will find the same jobs
    with FileLock(home.training_lock, poll_interval=_LOCK_POLL_SECONDS):
        next_in_line.release()
        store.works(Process.current())
        _sweep(home, store)
        while (job_id := store.claim(most_attempts=MOST_ATTEMPTS)) is not None:
            _run(home, store, job_id)


def _sweep(home: Home, store: Store) -> None:
    """Delete what dead workers left half written, and the states of jobs that ended just before their worker died."""
    ended = {job.id for job in store.jobs() if job.status in ("succeeded", "cancelled")}
    for part in home.root.glob("jobs/*/.*.part"):
        shutil.rmtree(part, ignore_errors=True)
    for state in home.root.glob("jobs/*/state.safetensors"):
        if state.parent.name in ended:
            StateFile(state).forget()
    for part in home.root.glob("jobs/*/state.part"):
        part.unlink(missing_ok=True)


def _run(home: Home, store: Store, job_id: str) -> None:
    """One job; whatever goes wrong in it becomes its reason, and the next one is taken."""
    guard = Guard(store, job_id, leave=lambda: _leave(home, store))
    try:
        with guard.watching():
            run_job(home, store, job_id, guard)
    except FinetuneKitError as error:
        _fail(store, job_id, JobFault(code=_code(error), message=str(error)))
    except Exception as error:  # noqa: BLE001  the outermost edge: a job must never end without a reason
        traceback.print_exc()  # into the worker's log
        reason = f"{type(error).__name__}: {error}. The traceback is in {home.worker_log}."
        _fail(store, job_id, JobFault(code="engine_error", message=reason))


def _leave(home: Home, store: Store) -> None:
    """End this process, whatever its other thread is doing; others take up what waits."""
    try:
        if store.waits():
            start_worker(home, store)
    finally:
        os._exit(0)


def _fail(store: Store, job_id: str, fault: JobFault) -> None:
    store.move(job_id, to="failed", of=LIVE, message=f"Failed: {fault.message}", fault=fault)


def _code(error: FinetuneKitError) -> str:
    """The error's class as hosts write codes: `WeightsError` is `weights_error`."""
    name = type(error).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except (OSError, StorageError):
        if shutil.disk_usage(sys.argv[1]).free >= LEAST_FREE_BYTES:
            raise
        os._exit(DISK_FULL_STATUS)  # not even a word fits into the log, and an end in order would try to write some
