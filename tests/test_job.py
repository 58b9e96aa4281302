"""A job is waited for, followed, stopped and attached to; its errors say how it ended."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from finetune_kit.backends import JobState
from finetune_kit.dataset import Dataset
from finetune_kit.errors import (
    BackendError,
    Detached,
    JobCancelledError,
    JobFailedError,
    JobNotFinishedError,
    JobNotFoundError,
    ParameterError,
    WaitTimeoutError,
)
from finetune_kit.job import FineTuneJob
from finetune_kit.testing import MemoryBackend
from tests.rows_of import PAIRS


def started(backend: MemoryBackend) -> FineTuneJob:
    return Dataset.from_records(PAIRS).split(0.75).train(backend=backend)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def still() -> MemoryBackend:
    """Its jobs move only on command."""
    return MemoryBackend(advance_on_look=False)


def test_wait_returns_the_job_that_has_succeeded(backend: MemoryBackend) -> None:
    job = started(backend)
    assert job.wait() is job
    assert job.status == "succeeded"
    assert repr(job) == f"<FineTuneJob {job.id} on memory: succeeded>"


def test_progress_is_told_at_every_look(backend: MemoryBackend) -> None:
    seen: list[JobState] = []
    started(backend).wait(on_progress=seen.append)
    assert [state.status for state in seen] == ["validating_files", "running", "succeeded"]


def test_a_job_that_has_ended_is_not_asked_for_again(backend: MemoryBackend) -> None:
    job = started(backend).wait()
    backend._jobs.clear()
    assert job.wait().status == "succeeded"


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_patience_that_ends_is_an_error_and_the_job_goes_on(still: MemoryBackend, seconds: float) -> None:
    job = started(still)
    with pytest.raises(WaitTimeoutError, match=f"{job.id} is 'queued' after {seconds:g} s; it goes on") as raised:
        job.wait(timeout_seconds=seconds)
    assert raised.value.job_id == job.id
    assert isinstance(raised.value, TimeoutError)
    assert job.status == "queued"


@pytest.mark.parametrize("seconds", [-1, "5", True, float("nan")])
def test_patience_is_a_number_of_seconds(still: MemoryBackend, seconds: float) -> None:
    with pytest.raises(ParameterError, match="timeout_seconds"):
        started(still).wait(timeout_seconds=seconds)


def test_a_failed_job_gives_its_reason(still: MemoryBackend) -> None:
    job = started(still)
    still.fail(job.id, "out of memory")
    for call in (job.wait, job.results, job.model, lambda: job.card):
        with pytest.raises(JobFailedError, match=f"{job.id} has failed: out of memory"):
            call()


def test_a_cancelled_job_says_so(backend: MemoryBackend) -> None:
    job = started(backend).cancel()
    for call in (job.wait, job.results, job.model):
        with pytest.raises(JobCancelledError, match=f"{job.id} was cancelled"):
            call()


def test_before_the_end_there_are_no_results(still: MemoryBackend) -> None:
    job = started(still)
    calls: list[tuple[str, Callable[[], object]]] = [
        ("results", job.results),
        ("model", job.model),
        ("card", lambda: job.card),
    ]
    for what, call in calls:
        with pytest.raises(JobNotFinishedError, match=rf"'queued' and has no {what} yet. wait\(\) for it"):
            call()


def test_a_finished_job_has_results_checkpoints_card_and_model(backend: MemoryBackend) -> None:
    job = started(backend).wait()
    assert job.results().metrics[-1].step == job.state.total_steps
    assert job.card.name == job.model().name == job.state.fine_tuned_model
    checkpoint = job.checkpoints()[0]
    for model in (job.model(checkpoint), job.model(checkpoint.name)):
        assert model.name == checkpoint.name
        assert model.complete(PAIRS[0][0]) == PAIRS[0][1]


def test_a_host_that_names_no_result_file_is_told_on(backend: MemoryBackend) -> None:
    class Silent(MemoryBackend):
        def job(self, job_id: str) -> JobState:
            state = super().job(job_id)
            return JobState(id=state.id, status=state.status, model=state.model, created_at=state.created_at)

    job = started(Silent()).wait()
    for call in (job.results, job.model):
        with pytest.raises(BackendError, match="the backend names no"):
            call()


def test_follow_yields_every_event_once_and_ends(backend: MemoryBackend) -> None:
    job = started(backend)
    ids = [event.id for event in job.follow()]
    assert ids == [event.id for event in job.events()]
    assert len(set(ids)) == len(ids)
    assert [event.message for event in job.events()][-1] == "The job has succeeded."
    assert [event.id for event in job.follow()] == ids, "a job that has ended is told once more from the start"


def test_follow_starts_with_what_stands_in_for_the_model(backend: MemoryBackend) -> None:
    first = next(started(backend).follow())
    assert (first.level, first.message.partition(":")[0]) == ("warn", "'curie' does not exist on 'memory'")


def test_another_process_attaches_by_the_id(backend: MemoryBackend) -> None:
    job = FineTuneJob.attach(started(backend).id, backend).wait()
    assert job.model().complete(PAIRS[0][0]) == PAIRS[0][1]


def test_an_unknown_id_is_refused(backend: MemoryBackend) -> None:
    with pytest.raises(JobNotFoundError, match="ftjob-nowhere") as raised:
        FineTuneJob.attach("ftjob-nowhere", backend)
    assert raised.value.job_id == "ftjob-nowhere"


def test_a_paused_job_waits_for_resume(backend: MemoryBackend) -> None:
    job = started(backend).pause()
    with pytest.raises(WaitTimeoutError, match="'paused'"):
        job.wait(timeout_seconds=0)
    assert job.resume().wait().status == "succeeded"


@pytest.fixture
def interrupt_soon() -> Iterator[Callable[[], None]]:
    """Ctrl-C, as the system delivers it; a process started in the background of a shell would ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield threading.Timer(0.15, signal.raise_signal, [signal.SIGINT]).start
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("waiting", [FineTuneJob.wait, lambda job: list(job.follow())], ids=["wait", "follow"])
def test_control_c_detaches_and_says_how_to_come_back(
    still: MemoryBackend, waiting: Callable[[FineTuneJob], object], interrupt_soon: Callable[[], None]
) -> None:
    job = started(still)
    interrupt_soon()
    with pytest.raises(Detached, match=rf'FineTuneJob.attach\("{job.id}"\)') as raised:
        waiting(job)
    assert raised.value.job_id == job.id
    assert job.status == "queued"


def test_control_c_in_the_callers_own_code_is_the_callers(still: MemoryBackend) -> None:
    with pytest.raises(KeyboardInterrupt) as raised:  # noqa: PT012 - the loop is what is tested
        for _ in started(still).follow():
            raise KeyboardInterrupt
    assert not isinstance(raised.value, Detached)


def test_waiting_leaves_the_event_loop_free(backend: MemoryBackend) -> None:
    async def both() -> int:
        waiting = asyncio.create_task(started(backend).wait_async())
        ticks = 0
        while not waiting.done():
            ticks += 1
            await asyncio.sleep(0.001)
        assert (await waiting).status == "succeeded"
        return ticks

    assert asyncio.run(both()) > 5


def test_waiting_without_blocking_ends_as_waiting_does(still: MemoryBackend) -> None:
    job = started(still)
    with pytest.raises(WaitTimeoutError):
        asyncio.run(job.wait_async(timeout_seconds=0.01))
    still.fail(job.id, "no luck")
    with pytest.raises(JobFailedError, match="no luck"):
        asyncio.run(job.wait_async())
