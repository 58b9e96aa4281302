"""`FineTuneJob`: one run; it waits, tells, stops, and hands over the model. It holds no data and no vendor words."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator
from types import TracebackType

from finetune_kit._arguments import number
from finetune_kit.backends import Backend, Checkpoint, Event, JobState, connect
from finetune_kit.cards import ModelCard
from finetune_kit.client import ModelClient
from finetune_kit.errors import (
    BackendError,
    Detached,
    JobCancelledError,
    JobFailedError,
    JobNotFinishedError,
    WaitTimeoutError,
)
from finetune_kit.results import Results

FIRST_POLL_SECONDS, POLL_SECONDS = 0.05, 0.5


class FineTuneJob:
    """A fine-tuning run on a backend; it goes on whether or not this object lives."""

    def __init__(self, state: JobState, backend: Backend) -> None:
        self._state, self._backend = state, backend

    @classmethod
    def attach(cls, job_id: str, backend: Backend | None = None) -> FineTuneJob:
        """The job with this id, from another process or on another day; `JobNotFoundError` if there is none."""
        connected = connect(backend)
        return cls(connected.job(job_id), connected)

    def __repr__(self) -> str:
        return f"<FineTuneJob {self.id}: {self._state.status}>"

    @property
    def id(self) -> str:
        """The backend's name for the run."""
        return self._state.id

    @property
    def status(self) -> str:
        """Its status now: `queued`, `validating_files`, `running`, `paused`, `succeeded`, `failed` or `cancelled`.

        Asks the backend unless the job has ended.
        """
        return self.refresh().state.status

    @property
    def state(self) -> JobState:
        """All that was known when the backend was last asked."""
        return self._state

    def refresh(self) -> FineTuneJob:
        """Ask the backend, unless the job has ended."""
        if not self._state.finished:
            self._state = self._backend.job(self.id)
        return self

    def events(self) -> list[Event]:
        """What has happened so far, the oldest first."""
        return self._backend.events(self.id)

    def follow(self) -> Iterator[Event]:
        """Every event once, those to come included, until the job has ended."""
        last: str | None = None
        for pause in _pauses():
            with _Detaching(self.id):
                ended = self.refresh().state.finished  # asked first: no event can come after the end that it saw
                events = self._backend.events(self.id, after=last)
            for event in events:
                last = event.id
                yield event
            if ended:
                return
            with _Detaching(self.id):
                time.sleep(pause)

    def wait(
        self, timeout_seconds: float | None = None, *, on_progress: Callable[[JobState], None] | None = None
    ) -> FineTuneJob:
        """Return the job when it has succeeded.

        Raises `JobFailedError` with the reason, `JobCancelledError`, or, after `timeout_seconds`, `WaitTimeoutError`.
        Ctrl-C raises `Detached`; the job goes on and can be attached again. `on_progress` is called at every look.
        """
        patience = _Patience(self.id, timeout_seconds)
        with _Detaching(self.id):
            for pause in _pauses():
                if self._look(patience, on_progress):
                    break
                time.sleep(patience.at_most(pause))
        return self._succeeded()

    async def wait_async(
        self, timeout_seconds: float | None = None, *, on_progress: Callable[[JobState], None] | None = None
    ) -> FineTuneJob:
        """`wait` without blocking the event loop."""
        patience = _Patience(self.id, timeout_seconds)
        for pause in _pauses():
            if await asyncio.to_thread(self._look, patience, on_progress):
                break
            await asyncio.sleep(patience.at_most(pause))
        return self._succeeded()

    def _look(self, patience: _Patience, on_progress: Callable[[JobState], None] | None) -> bool:
        state = self.refresh().state
        if on_progress is not None:
            on_progress(state)
        if not state.finished:
            patience.check(state.status)
        return state.finished

    def _succeeded(self) -> FineTuneJob:
        state = self._state
        if state.status == "cancelled":
            raise JobCancelledError(f"{self.id} was cancelled.", job_id=self.id)
        if state.status != "succeeded":
            reason = state.fault.message if state.fault is not None else "the backend gave no reason"
            raise JobFailedError(f"{self.id} has failed: {reason}", job_id=self.id)
        return self

    def cancel(self) -> FineTuneJob:
        """Stop the run for good; it ends as cancelled within a step."""
        self._state = self._backend.cancel(self.id)
        return self

    def pause(self) -> FineTuneJob:
        """Stop the run for now."""
        self._state = self._backend.pause(self.id)
        return self

    def resume(self) -> FineTuneJob:
        """Go on with a paused run, from the step where it stopped."""
        self._state = self._backend.resume(self.id)
        return self

    def results(self) -> Results:
        """The loss of every step and the validation loss of every epoch; `JobNotFinishedError` before the end."""
        self._need_success("results")
        if not self._state.result_files:
            raise BackendError(f"{self.id} has succeeded, but the backend names no result file.")
        return Results.parse(self._backend.file_content(self._state.result_files[0]))

    def checkpoints(self) -> list[Checkpoint]:
        """Models from the ends of earlier epochs, the oldest first."""
        return self._backend.checkpoints(self.id)

    def model(self, checkpoint: Checkpoint | str | None = None) -> ModelClient:
        """The fine-tuned model, or the one of a checkpoint; `JobNotFinishedError` before the end."""
        if checkpoint is not None:
            return ModelClient(checkpoint if isinstance(checkpoint, str) else checkpoint.name, self._backend)
        return ModelClient(self._need_success("model"), self._backend)

    @property
    def card(self) -> ModelCard:
        """The fine-tuned model's papers; `JobNotFinishedError` before the end."""
        return self._backend.card(self._need_success("card"))

    def _need_success(self, what: str) -> str:
        """The fine-tuned model's name."""
        state = self.refresh().state
        if not state.finished:
            raise JobNotFinishedError(
                f"{self.id} is {state.status!r} and has no {what} yet. wait() for it.", job_id=self.id
            )
        self._succeeded()
        if state.fine_tuned_model is None:
            raise BackendError(f"{self.id} has succeeded, but the backend names no model.")
        return state.fine_tuned_model


def _pauses() -> Iterator[float]:
    """Seconds between looks: the first ones soon, so that a short job is not waited for longer than it takes."""
    pause = FIRST_POLL_SECONDS
    while True:
        yield pause
        pause = min(2 * pause, POLL_SECONDS)


class _Patience:
    """How long a caller waits; for ever where no number of seconds is given."""

    def __init__(self, job_id: str, seconds: float | None) -> None:
        self._job_id = job_id
        self._seconds = math.inf if seconds is None else number("timeout_seconds", seconds, 0, math.inf)
        self._deadline = time.monotonic() + self._seconds

    def at_most(self, pause: float) -> float:
        """`pause`, or what is left of the time if that is less."""
        return max(0.0, min(pause, self._deadline - time.monotonic()))

    def check(self, status: str) -> None:
        """Raise where the time has run out."""
        if time.monotonic() >= self._deadline:
            raise WaitTimeoutError(
                f"{self._job_id} is {status!r} after {self._seconds:g} s; it goes on. Wait again, or cancel() it.",
                job_id=self._job_id,
            )


class _Detaching:
    """Turns Ctrl-C into `Detached`, which says how to come back."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, KeyboardInterrupt) and not isinstance(error, Detached):
            raise Detached(
                f'stopped waiting; {self._job_id} goes on. Attach again: FineTuneJob.attach("{self._job_id}")',
                job_id=self._job_id,
            ) from None
