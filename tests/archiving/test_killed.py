"""A process that is killed while it brings a job home leaves whole files and a true manifest, and the next goes on."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from finetune_kit import FineTuneJob
from finetune_kit.archiving import Archive, verify
from finetune_kit.archiving.manifest import NAME
from finetune_kit.testing import Fault, HostSimulator
from tests.archiving.places import backend_of, chat_rows, ended, lines, started

_SCRIPT = """
import sys
from finetune_kit import FineTuneJob, HostedBackend
from finetune_kit._clock import FastClock, using

key, address, job_id, folder = sys.argv[1:]
with using(FastClock(float("inf"))):
    FineTuneJob.attach(job_id, HostedBackend(api_key=key, base_url=address)).archive(folder)
"""
_PATIENCE_SECONDS = 60


@pytest.mark.parametrize("files", [1, 4, 7])
def test_the_next_call_goes_on_where_a_killed_one_stopped(files: int, tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    with HostSimulator() as host, backend_of(host) as backend:
        job_id = ended(host, started(host, lines(chat_rows(range(20))), lines(chat_rows(range(20, 24)))))
        host.faults.add(Fault("slow", seconds=0.15, times=None))
        arguments = [host.api_key, host.base_url, job_id, str(folder)]
        process = subprocess.Popen([sys.executable, "-c", _SCRIPT, *arguments])
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not folder.exists() or len(list(folder.iterdir())) < files:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
        process.wait()
        host.faults.clear()
        there = set[str]()
        if (folder / NAME).exists():
            assert verify(folder) == ()
            left = Archive.read(folder)
            assert not left.whole
            there = {file.name for file in left.files}
            named = {file.part for file in left.files} | {one.part for one in left.not_archived}
            assert named >= {"training", "validation", "results-1", "job", "card", "checkpoints", "events", "answers"}
        asked = host.counts["GET /files/{id}/content"]
        archive = FineTuneJob.attach(job_id, backend).archive(folder)
    assert archive.whole
    assert archive.verify() == ()
    fetched = {"training.jsonl", "validation.jsonl", "results-1.csv"}
    assert host.counts["GET /files/{id}/content"] - asked == len(fetched - there)
