"""Bad luck: callers and workers that die, wishes in the middle of a run, several at once, a full disk.

Every test disturbs real processes.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from finetune_kit import Dataset, FineTuneJob, LocalBackend, Results
from finetune_kit.backends.local import launch
from finetune_kit.backends.local.launch import ensure_worker
from finetune_kit.backends.local.store import Store
from finetune_kit.backends.local.worker import MOST_ATTEMPTS
from finetune_kit.errors import (
    EngineError,
    JobCancelledError,
    JobFailedError,
    JobNotFinishedError,
    StorageError,
    WaitTimeoutError,
)
from tests.backends.local.runs import colours, kill_workers, run_python, start_long, until, until_step, worker_pids

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="finds and kills processes as POSIX does"),
]

TRAIN = """
    import sys
    from finetune_kit import Dataset, LocalBackend
    data = Dataset.from_records([(f"question {i}", ("red", "blue")[i % 2]) for i in range(40)]).split(0.8)
    backend, suffix = LocalBackend(home=sys.argv[1], base=sys.argv[2]), sys.argv[4]
    job = data.train("davinci", backend=backend, n_epochs=int(sys.argv[3]), suffix=suffix)
    print(job.id)
"""


@pytest.fixture
def backend(tiny_base: Path, tmp_path: Path) -> Iterator[LocalBackend]:
    """A fresh home on the tiny base; no worker outlives the test."""
    backend = LocalBackend(home=tmp_path / "home", base=str(tiny_base))
    yield backend
    for pid in worker_pids(backend.home.root):
        os.kill(pid, signal.SIGKILL)


def start_middling(backend: LocalBackend, *, n_epochs: int = 5) -> FineTuneJob:
    """A job of 32 short steps in each epoch: long enough to be disturbed, short enough to wait for."""
    return colours().train("davinci", backend=backend, n_epochs=n_epochs, batch_size=1)


@pytest.fixture(scope="module")
def undisturbed(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What such a job measures when nothing happens to it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        backend = LocalBackend(home=tmp_path_factory.mktemp("undisturbed"), base=str(tiny_base))
        return start_middling(backend).wait(timeout_seconds=120).results()


def test_the_callers_process_may_end_right_after_train(backend: LocalBackend, tiny_base: Path) -> None:
    done = run_python(TRAIN, backend.home.root, tiny_base, 1, "a")
    store = Store(backend.home)  # which looks, but starts no worker
    until(lambda: store.job(done.stdout.strip()).finished)
    assert store.job(done.stdout.strip()).status == "succeeded"


def test_two_processes_that_train_at_once_both_finish_one_after_the_other(
    backend: LocalBackend, tiny_base: Path
) -> None:
    jobs = [
        FineTuneJob.attach(run_python(TRAIN, backend.home.root, tiny_base, 1, suffix).stdout.strip(), backend)
        for suffix in "ab"
    ]
    first, second = (job.wait(timeout_seconds=120) for job in jobs)
    started = next(event for event in second.events() if event.message.startswith("Validating"))
    assert first.state.finished_at is not None
    assert started.created_at >= first.state.finished_at
    assert first.results() == second.results()


def test_two_processes_that_want_the_same_get_one_job(backend: LocalBackend, tiny_base: Path) -> None:
    ids = [run_python(TRAIN, backend.home.root, tiny_base, 1, "a").stdout.strip() for _ in "ab"]
    assert ids[0] == ids[1]
    third = run_python(f"{TRAIN}    job.wait()\n", backend.home.root, tiny_base, 1, "a")
    assert third.stdout.strip() == ids[0]  # and it was told of its end, so that the next one is another training
    assert run_python(TRAIN, backend.home.root, tiny_base, 1, "a").stdout.strip() != ids[0]


def test_a_killed_worker_is_replaced_and_the_run_ends_as_if_undisturbed(
    backend: LocalBackend, undisturbed: Results
) -> None:
    """The first kill comes before a state was saved, the second after a pause has saved one."""
    job = start_middling(backend)
    followed = job.follow()
    until_step(job, 5)
    kill_workers(backend.home.root)
    until(lambda: "died" in next(followed).message)
    until_step(job, 20)
    job.pause()
    until(lambda: job.status == "paused")
    saved_at = job.state.step
    job.resume()
    until_step(job, (saved_at or 0) + 20)
    kill_workers(backend.home.root)
    assert job.wait(timeout_seconds=120).results() == undisturbed
    told = [event.message for event in job.events()]
    assert any(message.startswith(f"Going on after step {saved_at} ") for message in told)
    assert sum("The worker died" in message for message in told) == 2
    rest = [event.id for event in followed]
    assert len(set(rest)) == len(rest)


def test_a_worker_that_dies_every_time_fails_the_job_with_a_reason(backend: LocalBackend) -> None:
    job = start_long(backend)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        until_claimed(job, attempt)
        kill_workers(backend.home.root)
    with pytest.raises(JobFailedError, match=r"the worker process died 3 times after step 0.*worker\.log"):
        job.wait(timeout_seconds=60)
    fault = job.state.fault
    assert fault is not None
    assert fault.code == "worker_died"


def until_claimed(job: FineTuneJob, times: int) -> None:
    start = "Validating training file"
    until(lambda: not job.refresh().state.finished and str(job.events()).count(start) == times)


def test_a_worker_that_cannot_start_is_told_with_its_last_words(
    backend: LocalBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a broken module of the user's own stands before the real one; with it gone, the job runs."""
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "sitecustomize.py").write_text("import sys; sys.exit('no luck today')", encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(shadow))
        job = colours().train("davinci", backend=backend, n_epochs=1)
        with pytest.raises(EngineError, match=r"ended in an error: .*The whole of it is in .*worker\.log"):
            job.wait(timeout_seconds=30)
    job.wait(timeout_seconds=60)


def test_cancelling_stops_a_run_within_a_step_or_two(backend: LocalBackend) -> None:
    job = start_long(backend)
    until_step(job, 3)
    asked_at = job.cancel().state.step or 0
    with pytest.raises(JobCancelledError, match="was cancelled"):
        job.wait(timeout_seconds=30)
    assert asked_at <= (job.state.step or 0) <= asked_at + 3
    assert job.events()[-1].message == "Cancelled."
    assert not (backend.home.job(job.id) / "state.safetensors").exists()


def test_cancelling_while_the_model_loads_is_not_forgotten(backend: LocalBackend) -> None:
    job = start_long(backend)
    until(lambda: job.status == "validating_files")
    job.cancel()
    with pytest.raises(JobCancelledError):
        job.wait(timeout_seconds=60)
    assert job.state.step is None or job.state.step <= 1


@pytest.fixture(scope="module")
def deep_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With so many layers that a large batch takes many seconds."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("bases") / "deep"
    config = AutoConfig.from_pretrained(tiny_base, num_hidden_layers=64)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("wish", ["pause", "cancel"])
def test_a_wish_is_met_at_once_in_the_middle_of_a_long_step(wish: str, deep_base: Path, backend: LocalBackend) -> None:
    deep = LocalBackend(home=backend.home.root, base=str(deep_base))
    data = Dataset.from_records([(f"question {i} " + "why " * 80, "red") for i in range(512)]).split(0.9)
    job = data.train("davinci", backend=deep, n_epochs=2, batch_size=256)
    until(lambda: job.refresh().status == "running")
    asked = {"pause": job.pause, "cancel": job.cancel}[wish]()
    assert asked.status == {"pause": "paused", "cancel": "cancelled"}[wish]
    assert job.state.step is None
    until(lambda: not worker_pids(backend.home.root))


@pytest.mark.parametrize("wish", ["pause", "cancel"])
def test_a_wish_is_met_though_the_worker_is_stopped(wish: str, backend: LocalBackend, undisturbed: Results) -> None:
    """It is ended by whoever asks, and what waits is taken up by another."""
    job = start_middling(backend)
    until_step(job, 3)
    stop_worker(backend)
    waiting = colours().train(backend=backend, n_epochs=1)
    asked = {"pause": job.pause, "cancel": job.cancel}[wish]()
    assert asked.status == {"pause": "paused", "cancel": "cancelled"}[wish]
    waiting.wait(timeout_seconds=60)
    if wish == "pause":
        job.resume()
        assert job.wait(timeout_seconds=120).results() == undisturbed


def stop_worker(backend: LocalBackend) -> None:
    """Put it to sleep, at a moment in which it does not hold the database."""
    worker = Store(backend.home).worker()
    assert worker is not None
    assert worker[0].pid in worker_pids(backend.home.root)
    while True:
        os.kill(worker[0].pid, signal.SIGSTOP)
        with closing(sqlite3.connect(backend.home.database, timeout=0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(worker[0].pid, signal.SIGCONT)
            else:
                connection.rollback()
                return
        time.sleep(0.002)


def test_a_worker_that_hangs_is_noticed_and_replaced(
    backend: LocalBackend, undisturbed: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = start_middling(backend)
    until_step(job, 3)
    stop_worker(backend)
    with monkeypatch.context() as patch:
        patch.setattr(launch, "SILENT_SECONDS", 0.2)
        patch.setattr(launch, "_SECOND_LOOK_SECONDS", 0.1)
        until(lambda: "Nothing was heard of the worker" in str(job.refresh().events()))
    assert job.wait(timeout_seconds=120).results() == undisturbed


def test_many_jobs_have_one_worker_and_one_that_waits_for_its_turn(backend: LocalBackend) -> None:
    running, others = start_long(backend), [start_long(backend) for _ in range(5)]
    until_step(running, 1)
    until(lambda: len(worker_pids(backend.home.root)) <= 2)
    for job in others:
        assert job.cancel().status == "cancelled"
    assert running.cancel().status == "cancelled"


def test_a_waiting_job_is_cancelled_at_once_and_the_next_one_runs(backend: LocalBackend) -> None:
    running, waiting, last = start_long(backend), start_long(backend), colours().train(backend=backend, n_epochs=1)
    assert waiting.cancel().state.status == "cancelled"
    running.cancel()
    last.wait(timeout_seconds=60)
    assert running.status == "cancelled"
    assert [event.message for event in waiting.events()][-1] == "Cancelled."


def test_a_paused_run_goes_on_where_it_stopped(backend: LocalBackend, undisturbed: Results) -> None:
    job = start_middling(backend)
    until_step(job, 3)
    job.pause()
    until(lambda: job.status == "paused")
    with pytest.raises(JobNotFinishedError, match="is 'paused' and has no results yet"):
        job.results()
    with pytest.raises(WaitTimeoutError):
        job.wait(timeout_seconds=0.1)
    until(lambda: not worker_pids(backend.home.root))
    job.resume()
    assert job.wait(timeout_seconds=120).results() == undisturbed


def test_a_paused_run_computes_as_it_began_though_the_machine_was_measured_anew(
    backend: LocalBackend, undisturbed: Results
) -> None:
    job = start_middling(backend)
    until_step(job, 3)
    job.pause()
    until(lambda: job.status == "paused")
    machine = backend.home.root / "machine.json"
    facts = json.loads(machine.read_bytes())
    machine.write_text(json.dumps({**facts, "bfloat16": not facts["bfloat16"]}), encoding="utf-8")
    job.resume()
    assert job.wait(timeout_seconds=120).results() == undisturbed


def test_a_pause_that_is_taken_back_at_once_leaves_the_run_going(backend: LocalBackend) -> None:
    job = start_middling(backend)
    until_step(job, 3)
    job.pause()
    job.resume()
    job.wait(timeout_seconds=60)


def test_looking_often_starts_one_worker_and_no_more(backend: LocalBackend) -> None:
    job = start_long(backend)
    store = Store(backend.home)
    for _ in range(200):
        ensure_worker(backend.home, store)
    until(lambda: worker_pids(backend.home.root))
    assert len(worker_pids(backend.home.root)) == 1
    until_step(job, 1)
    assert len(worker_pids(backend.home.root)) == 1


def test_ctrl_c_detaches_says_how_to_come_back_and_the_job_goes_on(backend: LocalBackend, tiny_base: Path) -> None:
    # A process started in the background of a shell ignores Ctrl-C, and so would its children.
    code = """
        import signal, sys
        from finetune_kit import FineTuneJob, LocalBackend
        signal.signal(signal.SIGINT, signal.default_int_handler)
        job = FineTuneJob.attach(sys.argv[1], LocalBackend(home=sys.argv[2], base=sys.argv[3]))
        print("waiting", flush=True)
        job.wait()
    """
    job = start_middling(backend, n_epochs=10)
    arguments = [job.id, str(backend.home.root), str(tiny_base)]
    waiting = subprocess.Popen(
        [sys.executable, "-c", "\n".join(line[8:] for line in code.splitlines()), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "waiting\n"
    until_step(job, 1)
    waiting.send_signal(signal.SIGINT)
    _, error = waiting.communicate(timeout=30)
    assert waiting.returncode != 0
    last = error.strip().splitlines()[-1]
    assert f'Detached: stopped waiting; {job.id} goes on. Attach again: FineTuneJob.attach("{job.id}", Local' in last
    assert str(tiny_base) in last
    job.wait(timeout_seconds=120)


def test_a_learning_rate_far_too_high_fails_the_job_with_advice(tiny_base: Path, tmp_path: Path) -> None:
    """A base whose numbers are at the edge of their range: the first steps leave it."""
    import torch
    from safetensors.torch import load_file, save_file

    edge = tmp_path / "edge"
    edge.mkdir()
    for file in tiny_base.iterdir():
        (edge / file.name).write_bytes(file.read_bytes())
    weights = load_file(edge / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], 3e38)
    save_file(weights, edge / "model.safetensors", metadata={"format": "pt"})
    job = colours().train("davinci", backend=LocalBackend(home=tmp_path / "home", base=str(edge)), n_epochs=1)
    with pytest.raises(JobFailedError, match=r"training loss is \w+ at step 1: .*smaller learning_rate_multiplier"):
        job.wait(timeout_seconds=60)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def test_a_full_disk_is_said_at_train(small_disk: Path, tiny_base: Path) -> None:
    fill(small_disk)
    with pytest.raises(StorageError, match="no space is left on the disk"):
        colours().train(backend=LocalBackend(home=small_disk / "home", base=str(tiny_base)))


def test_a_disk_that_fills_during_the_run_is_the_reason_and_nothing_is_lost(small_disk: Path, tiny_base: Path) -> None:
    """The job has failed with the reason, or, where not even that could be written, goes on when there is space."""
    backend = LocalBackend(home=small_disk / "home", base=str(tiny_base))
    job = start_long(backend)
    until_step(job, 3)
    filler = fill(small_disk)
    with pytest.raises((StorageError, JobFailedError, EngineError), match="no space is left on the disk"):
        job.wait(timeout_seconds=200)
    filler.unlink()
    store = Store(backend.home)
    if not store.job(job.id).finished:
        store.cancel(job.id)
        # A worker that is just dying can write its reason down before it hears of the wish.
        with pytest.raises((JobCancelledError, JobFailedError), match=r"cancelled|no space is left on the disk"):
            job.wait(timeout_seconds=60)
