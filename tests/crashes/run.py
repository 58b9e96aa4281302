"""Jobs on the tiny base whose workers are killed at random instants, and what must hold of each in the end.

Once a job has begun, its home is told before each next worker that the machine computes best with the other type.

A worker is forked from a process that has torch loaded already, so that a death costs no seconds of imports; it is a
process of its own, killed with SIGKILL together with its group.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import orjson
from safetensors.torch import load_file

from finetune_kit import Dataset, LocalBackend
from finetune_kit.backends.local import run as run_module
from finetune_kit.backends.local import worker
from finetune_kit.backends.local.store import Store

MOST_KILLS_OF_A_JOB = 8
_EPOCHS, _ROWS = 3, 24
_SAVE_SECONDS = 0.02
_UNLIMITED = 1_000_000
_ADAPTER_TOLERANCE = 1e-6


@dataclass(slots=True)
class Report:
    """What happened, all jobs together."""

    jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter[str])
    """By the status of the job when its worker died."""
    resumed: int = 0
    failures: list[str] = field(default_factory=list[str])


def crash(base: Path, folder: Path, *, kills: int, seed: int) -> Report:
    """Kill that many workers, over as many jobs as it takes."""
    draw, report = random.Random(seed), Report()
    undisturbed = folder / "undisturbed"
    begun = time.monotonic()
    wanted, _ = _train(base, undisturbed)
    _wait(_fork(undisturbed))
    seconds = time.monotonic() - begun
    while sum(report.kills.values()) < kills:
        home = folder / f"job-{report.jobs}"
        job_id, store = _train(base, home)
        _measured(home, of=undisturbed)
        for _ in range(min(draw.randint(1, MOST_KILLS_OF_A_JOB), kills - sum(report.kills.values()))):
            pid = _fork(home)
            time.sleep(draw.uniform(0.0, seconds))
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            if os.WIFSIGNALED(_wait(pid)):
                report.kills[store.job(job_id).status] += 1
            if store.job(job_id).finished:
                break
            if store.numbers(job_id) is not None:
                _measured(home, of=undisturbed, otherwise=True)
        _wait(_fork(home))
        report.jobs += 1
        print(f"job {report.jobs}: {sum(report.kills.values())} kills", flush=True)
        events = [event.message for event in store.events(job_id)]
        report.resumed += sum(message.startswith("Going on after") for message in events)
        report.failures += [f"{home.name}: {what}" for what in _faults(undisturbed, wanted, home, job_id)]
    return report


def _train(base: Path, home: Path) -> tuple[str, Store]:
    backend = LocalBackend(home=home, base=str(base))
    rows = [(f"question {i}", ("red", "blue")[i % 2]) for i in range(_ROWS)]
    data = Dataset.from_records(rows).split(0.8)
    with patch("finetune_kit.backends.local.backend.start_worker"):  # here workers are forked
        job = data.train("davinci", backend=backend, n_epochs=_EPOCHS, batch_size=1)
    return job.id, Store(backend.home)


def _measured(home: Path, *, of: Path, otherwise: bool = False) -> None:
    """What the machine computes best with, as it was measured for another home, or the contrary."""
    facts = orjson.loads((of / "machine.json").read_bytes())
    facts["bfloat16"] ^= otherwise
    (home / "machine.json").write_bytes(orjson.dumps(facts))


def _fork(home: Path) -> int:
    pid = os.fork()
    if pid:
        with suppress(ProcessLookupError, PermissionError):
            os.setpgid(pid, pid)  # in both, since either may come first
        return pid
    status = 1
    try:
        with suppress(PermissionError):
            os.setpgid(0, 0)
        run_module.SAVE_SECONDS, worker.MOST_ATTEMPTS = _SAVE_SECONDS, _UNLIMITED
        worker.main(str(home))
        status = 0
    finally:
        os._exit(status)


def _wait(pid: int) -> int:
    return os.waitpid(pid, 0)[1]


def _metrics(home: Path, job_id: str) -> list[tuple[object, ...]]:
    keys = ("step", "train_loss", "full_valid_loss")
    store = Store(LocalBackend(home=home).home)
    return [tuple(e.data.get(key) for key in keys) for e in store.events(job_id) if e.type == "metrics"]


def _faults(undisturbed: Path, wanted: str, home: Path, job_id: str) -> list[str]:
    store = Store(LocalBackend(home=home).home)
    state = store.job(job_id)
    if state.status != "succeeded":
        return [f"ended {state.status}: {state.fault}"]
    found: list[str] = []
    if len(store.jobs()) != 1:
        found.append(f"{len(store.jobs())} jobs")
    if _metrics(home, job_id) != _metrics(undisturbed, wanted):
        found.append("the metrics of its steps differ, or a step is missing or there twice")
    name = "adapter_model.safetensors"
    mine, theirs = (
        load_file(root / "jobs" / job / "model" / name) for root, job in ((home, job_id), (undisturbed, wanted))
    )
    off = max(float((mine[key].float() - theirs[key].float()).abs().max()) for key in theirs)
    if mine.keys() != theirs.keys() or off > _ADAPTER_TOLERANCE:
        found.append(f"the adapter is off by {off:.2g}")
    if len(store.files(purpose="fine-tune-results")) != 1:
        found.append("its results are stored twice")
    files = (_files(home, job_id), _files(undisturbed, wanted))
    if files[0] != files[1]:
        found.append(f"files: {sorted(files[0] ^ files[1])}")
    with closing(sqlite3.connect(home / "engine.sqlite3")) as connection:
        if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            found.append("the database is damaged")
    return found


def _files(home: Path, job_id: str) -> set[str]:
    """Of a job, its blobs by their number, for they are named by what is in them."""
    names = {str(path.relative_to(home)).replace(job_id, "JOB") for path in home.glob("jobs/**/*")}
    return names | {f"{len(list((home / 'files').iterdir()))} files"}
