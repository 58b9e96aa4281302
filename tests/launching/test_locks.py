"""Many who want the same at once get one job between them."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from finetune_kit._clock import FastClock, using
from finetune_kit.backends import JobSpec, JobState
from finetune_kit.errors import StorageError
from finetune_kit.launching import launch
from finetune_kit.launching.locks import alone
from finetune_kit.launching.patience import Patience
from tests.launching.scripted import Host, World, order

HOLDER = """
import sys
from pathlib import Path
from finetune_kit.launching.locks import alone
from finetune_kit.launching.patience import Patience
with alone(Path(sys.argv[1]), "key", what="testing", patience=Patience()):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_threads_that_want_the_same_get_one_job(world: World) -> None:
    barrier = threading.Barrier(4)

    class Slow(Host):
        def start(self, spec: JobSpec) -> JobState:
            barrier_free.wait(0.05)
            return super().start(spec)

    barrier_free = threading.Event()

    def one(_: int) -> str:
        barrier.wait()
        return launch(order(), Slow(world)).id

    with using(FastClock(20)), ThreadPoolExecutor(4) as pool:
        assert set(pool.map(one, range(4))) == {"ftjob-1"}
    assert world.count("upload") == world.count("start") == 1


def test_threads_that_want_other_things_of_one_file_send_it_once(world: World) -> None:
    with using(FastClock(20)), ThreadPoolExecutor(4) as pool:
        jobs = pool.map(lambda number: launch(order(n_epochs=number), Host(world)).id, range(1, 5))
        assert len(set(jobs)) == 4
    assert world.count("upload") == 1


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_lock_of_a_killed_process_is_free(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.communicate()
    with alone(tmp_path, "key", what="testing", patience=Patience(0)):
        pass


def test_a_lock_that_is_held_too_long_is_told(
    tmp_path: Path, holder: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        pytest.raises(StorageError, match="has been testing all the time") as caught,
        alone(tmp_path, "key", what="testing", patience=Patience(5)),
    ):
        pass
    holder.communicate("")
    assert caught.value.retryable
    assert "waiting for it" in caplog.text
    with (
        alone(tmp_path, "key", what="testing", patience=Patience(5)),
        alone(tmp_path, "other", what="testing", patience=Patience(0)),
    ):
        pass
