"""A process that the system kills, at every step, leaves one job, and the next one finds it and all its events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from openai import OpenAI

from tests.launching.killable import MODEL, started

pytest.importorskip("uvicorn", reason="the simulated host needs the extra server")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="processes are killed as POSIX does"),
]

KEY = "sk-proj-marked-b7d1e5a94c"

PLACES = (
    "before finetune_kit.launching.launch Ledger",
    "after finetune_kit.launching.order Order.fingerprint",
    "after finetune_kit.ledger.uploads Uploads.begin",
    "before finetune_kit HostedBackend.upload",
    "after finetune_kit HostedBackend.upload",
    "after finetune_kit.ledger.uploads Uploads.arrived",
    "before finetune_kit.ledger.intents Intents.add",
    "after finetune_kit.ledger.intents Intents.add",
    "before finetune_kit.ledger.intents Intents.asking",
    "after finetune_kit.ledger.intents Intents.asking",
    "before finetune_kit HostedBackend.start",
    "after finetune_kit HostedBackend.start",
    "after finetune_kit.ledger.intents Intents.started",
    "after finetune_kit HostedBackend.events",
    "after finetune_kit.remembering told",
    "before finetune_kit.ledger.intents Intents.saw",
    "after finetune_kit.ledger.intents Intents.saw",
    "before finetune_kit FineTuneJob.results",
    "before finetune_kit FineTuneJob.model",
)


@dataclass
class World:
    """A host in a process of its own."""

    url: str
    client: OpenAI

    def files(self) -> set[str]:
        return {file.id for file in self.client.files.list(purpose="fine-tune")}

    def jobs(self, suffix: str) -> list[str]:
        return [job.id for job in self.client.fine_tuning.jobs.list() if suffix in (job.fine_tuned_model or "")]

    def all_jobs(self) -> set[str]:
        return {job.id for job in self.client.fine_tuning.jobs.list()}

    def events(self, job_id: str) -> list[str]:
        return [event.id for event in self.client.fine_tuning.jobs.list_events(job_id)][::-1]


def served(*arguments: str) -> Iterator[World]:
    command = [sys.executable, "-m", "finetune_kit.testing.simulator", "--key", KEY, "--model", MODEL, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with OpenAI(api_key=KEY, base_url=url) as client:
            yield World(url, client)
        process.terminate()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_KIT_API_KEY", KEY)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield from served()


@pytest.fixture(scope="module")
def slow_world() -> Iterator[World]:
    slow = json.dumps({"kind": "slow", "on": "POST /fine_tuning/jobs", "times": None, "seconds": 0.5})
    yield from served("--fault", slow, "--speed", "0.2")  # so that no script is through before it is killed


@dataclass
class Script:
    """The user's, with a home of its own."""

    folder: Path
    world: World
    suffix: str

    def start(self, where: str) -> BaseProcess:
        return started(self.world.url, self.suffix, where, self.folder)

    def run(self, where: str) -> int | None:
        process = self.start(where)
        process.join(120)
        return process.exitcode

    @property
    def said(self) -> str:
        return (self.folder / "said").read_text()

    def done(self) -> tuple[str, int]:
        """It has what it wants; its job, and how many files it sent."""
        before = self.world.files()
        assert self.run("") == 0, self.said
        job_id, steps, _ = self.said.splitlines()[-1].split()
        assert int(steps) > 0
        return job_id, len(self.world.files() - before)

    def check(self, job_id: str) -> None:
        assert (self.folder / "seen").read_text().split() == self.world.events(job_id)
        kept = b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())
        assert b"intents" in kept
        for part in (KEY, KEY[8:]):
            assert part not in self.said
            assert part.encode() not in kept


@pytest.mark.parametrize("where", PLACES)
def test_a_kill_leaves_one_job_and_the_next_run_finds_it(world: World, tmp_path: Path, where: str) -> None:
    jobs, files = world.all_jobs(), world.files()
    script = Script(tmp_path, world, f"place-{PLACES.index(where)}")
    assert script.run(where) == -9, script.said
    job_id, _ = script.done()
    assert world.all_jobs() - jobs == {job_id}
    assert len(world.files() - files) == 2
    script.check(job_id)


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.45, 0.5, 0.55])
def test_a_kill_while_the_host_is_being_asked_leaves_one_job(slow_world: World, tmp_path: Path, seconds: float) -> None:
    jobs = slow_world.all_jobs()
    script = Script(tmp_path, slow_world, f"while-{round(seconds * 100)}")
    process = script.start("during finetune_kit HostedBackend.start")
    while not (tmp_path / "now").exists():
        assert process.is_alive(), script.said
        time.sleep(0.01)
    time.sleep(seconds)
    process.kill()
    process.join()
    job_id, _ = script.done()
    assert slow_world.all_jobs() - jobs == {job_id}, script.said
    script.check(job_id)


def test_a_script_that_has_ended_well_trains_anew_on_the_files_that_are_there(world: World, tmp_path: Path) -> None:
    script = Script(tmp_path, world, "anew")
    first, sent = script.done()
    assert sent == 2
    (tmp_path / "seen").unlink()
    second, sent = script.done()
    assert sent == 0
    assert first != second
    script.check(second)
