"""`FineTuneJob`: one run; it waits, tells, stops, and hands over the model. It holds no data and no vendor words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from types import TracebackType

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

POLL_SECONDS = 0.5


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
        while True:
            ended = self.refresh().state.finished  # asked first: no event can come after the end that it saw
            for event in self._backend.events(self.id, after=last):
                last = event.id
                yield event
            if ended:
                return
            with _Detaching(self.id):
                time.sleep(POLL_SECONDS)

    def wait(
        self, timeout_seconds: float | None = None, *, on_progress: Callable[[JobState], None] | None = None
    ) -> FineTuneJob:
        """Return the job when it has succeeded.

        Raises `JobFailedError` with the reason, `JobCancelledError`, or, after `timeout_seconds`, `WaitTimeoutError`.
        Ctrl-C raises `Detached`; the job goes on and can be attached again. `on_progress` is called at every look.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        with _Detaching(self.id):
            while not self._look(deadline, timeout_seconds, on_progress):
                time.sleep(POLL_SECONDS)
        return self._succeeded()

    async def wait_async(
        self, timeout_seconds: float | None = None, *, on_progress: Callable[[JobState], None] | None = None
    ) -> FineTuneJob:
        """`wait` without blocking the event loop."""
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while not await asyncio.to_thread(self._look, deadline, timeout_seconds, on_progress):
            await asyncio.sleep(POLL_SECONDS)
        return self._succeeded()

    def _look(
        self, deadline: float | None, timeout_seconds: float | None, on_progress: Callable[[JobState], None] | None
    ) -> bool:
        state = self.refresh().state
        if on_progress is not None:
            on_progress(state)
        if not state.finished and deadline is not None and time.monotonic() >= deadline:
            raise WaitTimeoutError(
                f"{self.id} is still {state.status!r} after {timeout_seconds:g} s; it goes on. Wait again, or cancel() it.",
                job_id=self.id,
            )
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
