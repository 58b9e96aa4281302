"""Jobs on the tiny base, short ones and ones long enough to be disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from finetune_kit import Dataset, FineTuneJob, LocalBackend, Split

LONG_EPOCHS = 100
"""About 3,000 steps with batches of 1: far more seconds than any disturbance needs."""
PATIENCE_SECONDS = 120.0


def colours(rows: int = 40) -> Split:
    """A set with two labels."""
    return Dataset.from_records([(f"question {i}", ("red", "blue")[i % 2]) for i in range(rows)]).split(0.8)


def start_long(backend: LocalBackend) -> FineTuneJob:
    """A job that runs until it is disturbed."""
    return colours().train("davinci", backend=backend, n_epochs=LONG_EPOCHS, batch_size=1)


def until(true: Callable[[], object], *, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def until_step(job: FineTuneJob, step: int) -> None:
    """Wait until a job has done a step."""
    until(lambda: (job.refresh().state.step or 0) >= step)


def worker_pids(home: Path) -> list[int]:
    """The worker processes of one home, found by their command lines."""
    found = subprocess.run(["ps", "-ewwo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    mine = [line.split(None, 2) for line in found.splitlines() if f"local.worker {home}" in line]
    return [int(pid) for pid, state, _ in mine if not state.startswith("Z")]


def kill_workers(home: Path) -> None:
    """As the system does it when memory runs out."""
    until(lambda: worker_pids(home))
    for pid in worker_pids(home):
        os.kill(pid, signal.SIGKILL)


def run_python(code: str, *arguments: object, timeout: float = PATIENCE_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run code in another process, with arguments in `sys.argv`."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
