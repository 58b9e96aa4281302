"""The durable state: what is written stays, and two processes never both make the same change."""

from __future__ import annotations

import hashlib
import multiprocessing
import sqlite3
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from filelock import FileLock

from finetune_kit.backends.local.database import SCHEMA
from finetune_kit.backends.local.device import Numbers
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.store import Store
from finetune_kit.backends.protocol import JobFault
from finetune_kit.errors import BackendError, JobNotFoundError, StorageError

ATTEMPTS = 3


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Home(tmp_path / "home"))


def add(store: Store, spec: bytes = b"{}") -> str:
    return store.add_job(model="tiny", spec=spec, first_events=[("info", "Created.")])


def claim(store: Store) -> str | None:
    return store.claim(most_attempts=ATTEMPTS)


def step(store: Store, job_id: str, number: int) -> str:
    return store.progress(
        job_id,
        step=number,
        total_steps=9,
        trained_tokens=number * 10,
        seconds_left=1.0,
        message=f"Step {number}/9",
        metrics={"step": number, "train_loss": 1.0},
    )


def messages(store: Store, job_id: str) -> list[str]:
    return [event.message for event in store.events(job_id)]


def run(store: Store, job_id: str) -> None:
    store.move(job_id, to="running", of=["validating_files"], message="Training starts.")


# files


def test_a_file_lies_under_the_hash_of_its_bytes_and_once(store: Store) -> None:
    first, second = (store.add_file([b"one\n", b"two\n"], filename="a.jsonl") for _ in range(2))
    path = store.file_path(first)
    assert first != second
    assert path == store.file_path(second)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.name == hashlib.sha256(b"one\ntwo\n").hexdigest()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_whose_lines_fail_leaves_nothing_behind(store: Store) -> None:
    def lines() -> Iterator[bytes]:
        yield b"one"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        store.add_file(lines(), filename="a.jsonl")
    assert list((store.home.root / "files").iterdir()) == []


def test_an_unknown_file_is_named(store: Store) -> None:
    with pytest.raises(BackendError, match="no file 'file-none'"):
        store.file_path("file-none")


# jobs


def test_jobs_are_taken_in_the_order_they_were_made(store: Store) -> None:
    made = [add(store) for _ in range(5)]
    taken: list[str | None] = []
    for _ in made:
        taken.append(claim(store))
        run(store, str(taken[-1]))
        store.move(str(taken[-1]), to="failed", of=["running"], message="", fault=JobFault(code="x", message="y"))
    assert taken == made
    assert claim(store) is None
    assert [job.id for job in store.jobs()] == made[::-1]


def test_an_unknown_job_names_the_home_it_is_not_in(store: Store) -> None:
    calls: list[Callable[[str], object]] = [
        store.job, store.spec, store.wish, store.events, store.checkpoints, store.cancel, store.pause, store.resume
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(JobNotFoundError, match=r"no job 'ftjob-none' under .*home") as caught:
            call("ftjob-none")
        assert caught.value.job_id == "ftjob-none"


def test_a_job_is_moved_only_from_where_it_may_come(store: Store) -> None:
    job = add(store)
    assert not store.move(job, to="running", of=["validating_files"], message="Training starts.")
    assert (store.job(job).status, messages(store, job)) == ("queued", ["Created."])


def test_a_failed_job_has_its_reason_and_an_error_event(store: Store) -> None:
    job = add(store)
    store.move(job, to="failed", of=["queued"], message="Failed: y", fault=JobFault(code="x", message="y"))
    state = store.job(job)
    assert (state.status, state.fault) == ("failed", JobFault(code="x", message="y"))
    assert state.finished_at is not None
    assert store.events(job)[-1].level == "error"


def test_waiting_jobs_are_cancelled_and_paused_at_once(store: Store) -> None:
    cancelled, paused = add(store), add(store)
    store.cancel(cancelled)
    store.pause(paused)
    assert (store.job(cancelled).status, store.job(paused).status) == ("cancelled", "paused")
    assert claim(store) is None
    assert store.resume(paused)
    assert claim(store) == paused


@pytest.mark.parametrize("wish", ["cancel", "pause"])
def test_a_wish_while_the_model_loads_is_not_lost_when_training_starts(wish: str, store: Store) -> None:
    job = add(store)
    claim(store)
    {"cancel": store.cancel, "pause": store.pause}[wish](job)
    run(store, job)
    assert step(store, job, 1) == wish
    assert store.obey(job) == {"cancel": "cancelled", "pause": "paused"}[wish]
    assert store.wish(job) == ""


def test_cancelling_outweighs_pausing(store: Store) -> None:
    job = add(store)
    claim(store)
    store.cancel(job)
    store.pause(job)
    assert store.obey(job) == "cancelled"


def test_a_cancel_that_comes_when_the_worker_is_about_to_pause_is_obeyed(store: Store) -> None:
    job = add(store)
    claim(store)
    store.pause(job)
    assert step(store, job, 1) == "pause"
    store.cancel(job)
    assert store.obey(job) == "cancelled"


def test_a_pause_that_was_taken_back_in_time_queues_the_job_again(store: Store) -> None:
    job = add(store)
    claim(store)
    store.pause(job)
    assert step(store, job, 1) == "pause"
    assert not store.resume(job)
    assert store.obey(job) == "queued"
    assert claim(store) == job


def test_a_finished_job_cannot_be_cancelled_paused_or_resumed(store: Store) -> None:
    job = add(store)
    store.cancel(job)
    for call in (store.cancel, store.pause, store.resume):
        call(job)
    assert store.job(job).status == "cancelled"
    assert messages(store, job) == ["Created.", "Cancelled."]


def test_a_job_left_by_a_dead_worker_is_taken_again_and_says_so(store: Store) -> None:
    job = add(store)
    claim(store)
    run(store, job)
    step(store, job, 4)
    assert claim(store) == job
    assert store.job(job).status == "validating_files"
    last = store.events(job)[-1]
    assert (last.level, last.message[:28]) == ("warn", "The worker died after step 4")


def test_a_job_whose_workers_die_without_getting_further_is_failed(store: Store) -> None:
    job, next_one = add(store), add(store)
    assert [claim(store) for _ in range(ATTEMPTS)] == [job] * ATTEMPTS
    assert claim(store) == next_one
    fault = store.job(job).fault
    assert fault is not None
    assert fault.code == "worker_died"
    assert "died 3 times after step 0" in fault.message
    assert str(store.home.worker_log) in fault.message


def test_a_job_that_gets_further_each_time_is_not_given_up(store: Store) -> None:
    job = add(store)
    for number in range(1, 10):
        assert claim(store) == job
        step(store, job, number)


def test_pausing_often_is_not_dying(store: Store) -> None:
    job = add(store)
    for _ in range(10):
        assert claim(store) == job
        store.pause(job)
        store.obey(job)
        store.resume(job)


def test_a_dead_workers_job_that_was_to_be_cancelled_is_cancelled(store: Store) -> None:
    job = add(store)
    claim(store)
    store.cancel(job)
    assert claim(store) is None
    assert store.job(job).status == "cancelled"


def test_a_finished_job_and_its_model_are_known_at_once(store: Store) -> None:
    job = add(store)
    claim(store)
    run(store, job)
    folder = store.home.job(job) / "model"
    store.finish(job, name="ft:tiny:local::1", folder=folder, card="{}", trained_tokens=90, result_file="file-1")
    state, model = store.job(job), store.model("ft:tiny:local::1")
    assert (state.status, state.fine_tuned_model, state.result_files) == ("succeeded", "ft:tiny:local::1", ("file-1",))
    assert model is not None
    assert store.home.root / model.folder == folder
    assert messages(store, job)[-2:] == ["New fine-tuned model created: ft:tiny:local::1", "The job has succeeded."]


def test_what_a_job_computes_with_is_unknown_until_it_is_kept(store: Store) -> None:
    job = add(store)
    assert store.numbers(job) is None
    kept = store.keep_numbers(job, Numbers(dtype="bfloat16", threads=3))
    assert (store.numbers(job), kept) == (Numbers(dtype="bfloat16", threads=3),) * 2


# events


def test_events_go_on_behind_a_cursor(store: Store) -> None:
    job = add(store)
    store.event(job, "one")
    cursor = store.events(job)[-1].id
    assert store.events(job, after=cursor) == []
    store.event(job, "two")
    assert [event.message for event in store.events(job, after=cursor)] == ["two"]


def test_rewinding_forgets_later_metrics_and_keeps_the_rest(store: Store) -> None:
    job = add(store)
    for number in (1, 2, 3):
        step(store, job, number)
    store.rewind(job, step=1)
    assert messages(store, job) == ["Created.", "Step 1/9"]
    assert store.job(job).step == 1


def test_a_cursor_on_a_forgotten_event_goes_on_with_the_new_ones(store: Store) -> None:
    """Whoever follows a job over the death of its worker sees no event twice."""
    job = add(store)
    for number in (1, 2, 3):
        step(store, job, number)
    cursor = store.events(job)[-1].id
    store.rewind(job, step=1)
    step(store, job, 2)
    assert [event.message for event in store.events(job, after=cursor)] == ["Step 2/9"]


def with_steps(store: Store, count: int) -> str:
    """A job with so many steps, written at once."""
    job = add(store)
    with closing(sqlite3.connect(store.home.database)) as connection, connection:
        connection.executemany(
            "INSERT INTO events (id, job_id, created_at, level, type, message, data) "
            "VALUES (?, ?, 0, 'info', 'metrics', 'Step', ?)",
            ((f"ftevent-{number}", job, f'{{"step":{number}}}') for number in range(1, count + 1)),
        )
    return job


def test_the_metrics_of_100_000_steps_are_read_in_order_and_in_little_memory(store: Store) -> None:
    job = with_steps(store, 100_000)
    number = 0
    tracemalloc.start()
    try:
        for number, data in enumerate(store.metrics(job), start=1):
            assert data == {"step": number}
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert number == 100_000
    assert most < 2_000_000


def test_events_behind_a_late_one_of_100_000_are_found_without_reading_those_before(store: Store) -> None:
    job = with_steps(store, 100_000)
    read = list[int]()
    with store._database.reading() as connection:
        connection.set_progress_handler(lambda: read.append(1), 100)
        found = store._events(connection, job, after="ftevent-99990")
    assert [event.id for event in found] == [f"ftevent-{number}" for number in range(99_991, 100_001)]
    assert len(read) < 20


# checkpoints


def test_a_checkpoint_is_a_model_until_it_is_dropped(store: Store) -> None:
    job = add(store)
    for number in (5, 3):
        folder = store.home.job(job) / f"step-{number}"
        store.add_checkpoint(job, name=f"ckpt-{number}", step=number, metrics={"a": 1.0}, folder=folder, card="{}")
    assert [checkpoint.step for checkpoint in store.checkpoints(job)] == [3, 5]
    store.drop_checkpoint(job, step=3)
    assert [checkpoint.name for checkpoint in store.checkpoints(job)] == ["ckpt-5"]
    assert (store.model("ckpt-3"), store.model_names()) == (None, ())
    assert store.model("ckpt-5") is not None


def test_a_checkpoint_written_again_replaces_the_first(store: Store) -> None:
    job = add(store)
    for loss in (2.0, 1.0):
        folder = store.home.job(job) / "step-1"
        store.add_checkpoint(job, name="ckpt", step=1, metrics={"loss": loss}, folder=folder, card="{}")
    assert [checkpoint.metrics for checkpoint in store.checkpoints(job)] == [{"loss": 1.0}]


# several at once


def open_and_add(root: str) -> str:
    return add(Store(Home(Path(root))))


def claim_all(root: str) -> list[str]:
    store, mine = Store(Home(Path(root))), list[str]()
    while True:
        with FileLock(store.home.training_lock, poll_interval=0.001):
            job = claim(store)
            if job is None:
                return mine
            mine.append(job)
            store.move(job, to="failed", of=["validating_files"], message="", fault=JobFault(code="x", message="y"))


def cancel_all(root: str) -> list[str]:
    store = Store(Home(Path(root)))
    for job in store.jobs():
        store.cancel(job.id)
    return []


@pytest.mark.slow
def test_processes_that_make_the_same_home_at_once_all_can(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        jobs = pool.map(open_and_add, [str(tmp_path / "home")] * 12)
    assert {job.id for job in Store(Home(tmp_path / "home")).jobs()} == set(jobs)


@pytest.mark.slow
def test_processes_that_claim_and_cancel_at_once_never_both_have_a_job(store: Store) -> None:
    """Each job ends once: as cancelled, or as failed by the one process that claimed it."""
    jobs = [add(store) for _ in range(60)]
    root = str(store.home.root)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        results = [pool.apply_async(work, (root,)) for work in (claim_all, cancel_all, claim_all)]
        claimed = [job for result in results for job in result.get(timeout=60)]
    assert len(set(claimed)) == len(claimed)
    for job in jobs:
        ends = [message for message in messages(store, job) if message != "Created."]
        assert ends in ([""], ["Cancelled."])
        assert store.job(job).status == ("failed" if ends == [""] else "cancelled")


def test_only_one_of_many_may_start_a_worker(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: store.may_spawn(pause_seconds=60), range(16)))
    assert answers.count(True) == 1
    assert store.may_spawn(pause_seconds=0)


@pytest.mark.parametrize(
    ("seconds", "may"), [(-0.5, False), (0.0, False), (59.0, False), (60.0, True), (-3600.0, True)]
)
def test_a_clock_set_back_a_little_starts_no_second_worker(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, seconds: float, may: bool
) -> None:
    monkeypatch.setattr("finetune_kit.backends.local.store.time.time", lambda: 1_800_000_000.0)
    assert store.may_spawn(pause_seconds=60)
    monkeypatch.setattr("finetune_kit.backends.local.store.time.time", lambda: 1_800_000_000.0 + seconds)
    assert store.may_spawn(pause_seconds=60) is may


def test_the_time_of_a_start_is_taken_once_the_database_is_held(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("finetune_kit.backends.local.store.time.time", lambda: _held_since(store, now))
    assert store.may_spawn(pause_seconds=60)


def _held_since(store: Store, now: float) -> float:
    other = sqlite3.connect(store.home.database, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()
    return now


# what can be wrong with the database


def test_a_newer_schema_is_refused_with_what_to_do(store: Store) -> None:
    with sqlite3.connect(store.home.database) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    connection.close()
    with pytest.raises(StorageError, match=r"written by a newer finetune_kit .*Upgrade the package"):
        Store(store.home)


def test_a_file_that_is_no_database_is_refused_with_what_to_do(store: Store) -> None:
    store.home.database.write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match="Move it away to start afresh"):
        Store(store.home)


def test_a_damaged_database_is_refused_with_what_to_do(store: Store) -> None:
    add(store)
    content = bytearray(store.home.database.read_bytes())
    content[100:] = b"\xff" * (len(content) - 100)
    store.home.database.write_bytes(content)
    with pytest.raises(StorageError, match=r"engine\.sqlite3 cannot be used.*Move it away"):
        store.jobs()
