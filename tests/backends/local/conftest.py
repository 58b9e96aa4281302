"""The tiny base model, made once in a run, and one thread to compute with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.backends.local.runs import until, worker_pids
from tests.tiny import write_tiny_base


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For a tiny model, more threads only get in each other's way; worker processes inherit the variable."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny Llama with random weights."""
    return write_tiny_base(tmp_path_factory.mktemp("bases") / "tiny")


def run(command: list[str]) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() != 0 or run(command):
        pytest.skip("only root on Linux can mount a small disk")
    yield folder
    for pid in worker_pids(folder / "home"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: run(["umount", str(folder)]) == 0, seconds=20)
