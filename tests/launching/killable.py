"""A user's script as a process of its own, which the system kills before, after or during a call of the package."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from finetune_kit import Dataset, HostedBackend
from finetune_kit._clock import FastClock, using
from finetune_kit.remembering import settle_ends

MODEL = "llama-3.3-70b"
SPEED = 30.0
"""Of the clock: nobody waits a minute to see that a job is not there."""
HOSTS = {"generic": {"has_events": True, "keeps_metadata": True}}


def started(url: str, suffix: str, where: str, folder: Path) -> BaseProcess:
    """The script, running; forked from a process that has imported everything, since that takes longest."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.launching.killable", "openai", "finetune_kit.training"])
    process = context.Process(target=_main, args=(url, suffix, where, folder, dict(os.environ)))
    process.start()
    return process


def _main(url: str, suffix: str, where: str, folder: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment, FINETUNE_KIT_HOME=str(folder / "home"), FINETUNE_KIT_HOSTS=str(_hosts(folder)))
    out = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    for other in ("httpx", "httpx2", "httpcore", "httpcore2", "openai"):
        logging.getLogger(other).setLevel(logging.INFO)
    if where:
        _die(folder, *where.split(" "))
    try:
        with using(FastClock(SPEED)):
            _script(url, suffix, folder)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    settle_ends()  # a forked process ends without what is done at an exit


def _script(url: str, suffix: str, folder: Path) -> None:
    seen = folder / "seen"
    rows = [(f"Where is parcel {number}?", "track") for number in range(10)]
    rows += [(f"I want the money for order {number} back", "refund") for number in range(10)]
    with HostedBackend(base_url=url, host="generic") as backend:
        job = Dataset.from_records(rows).to_chat().split(0.8).train(MODEL, backend=backend, suffix=suffix)
        told = seen.read_text().split() if seen.exists() else []
        for event in job.follow(after=told[-1] if told else None):
            with seen.open("a") as out:
                out.write(f"{event.id}\n")
        steps = len(job.wait().results().metrics)
        print(job.id, steps, job.model().name)


def _hosts(folder: Path) -> Path:
    hosts = folder / "hosts.json"
    hosts.write_text(json.dumps(HOSTS))
    return hosts


def _die(folder: Path, when: str, module: str, name: str) -> None:
    """Have a call of the package kill this process, or say that it has begun."""
    *path, last = name.split(".")
    owner: Any = import_module(module)
    for part in path:
        owner = getattr(owner, part)
    real: Callable[..., object] = getattr(owner, last)

    def dies(*given: object, **named: object) -> object:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if when == "during":
            (folder / "now").touch()
        done = real(*given, **named)
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    setattr(owner, last, dies)
