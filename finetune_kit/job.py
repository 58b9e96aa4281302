"""`FineTuneJob`: one run; it waits, tells, stops, and hands over the model. It holds no data and no vendor words."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Callable, Iterator

from finetune_kit import remembering
from finetune_kit._arguments import number
from finetune_kit._home import home_folder
from finetune_kit._retry import QUESTIONS
from finetune_kit.archiving import MOST_PROMPTS, USUAL_BUDGET, Archive, Wanted, archive_job, folder_name, folder_of
from finetune_kit.attaching import backend_of
from finetune_kit.backends import Backend, Checkpoint, Event, JobState
from finetune_kit.cards import ModelCard
from finetune_kit.choosing import BestCheckpoint
from finetune_kit.client import ModelClient
from finetune_kit.errors import (
    BackendError,
    Detached,
    JobCancelledError,
    JobFailedError,
    JobNotFinishedError,
)
from finetune_kit.following import (
    Desk,
    Lost,
    News,
    OnNotice,
    Patience,
    Steps,
    Watch,
    Wishes,
    detached,
    drive,
    drive_async,
    steps,
)
from finetune_kit.keeping import keep, keeps
from finetune_kit.migrating import Given, Migration, move
from finetune_kit.outcome import best_checkpoint_of, model_of, results_of
from finetune_kit.results import Results
from finetune_kit.training_options import TrainingOptions
from finetune_kit.webhooks import Headers, read_webhook

STUCK_AFTER_SECONDS = 3600.0


class FineTuneJob:
    """A fine-tuning run on a backend; it goes on whether or not this object lives."""

    def __init__(self, state: JobState, backend: Backend) -> None:
        self._state, self._backend = state, backend
        self._noted = (state.status, False)

    @classmethod
    def attach(cls, job_id: str, backend: Backend | None = None) -> FineTuneJob:
        """The job with this id, from another process or on another day; `JobNotFoundError` if there is none.

        Without `backend`, where this machine started it, by the key in the environment.
        """
        connected = backend if backend is not None else backend_of(job_id)
        return cls(QUESTIONS.call(lambda: connected.job(job_id)), connected)

    @classmethod
    def from_webhook(
        cls,
        payload: bytes | str,
        headers: Headers,
        *,
        secret: str | None = None,
        backend: Backend | None = None,
    ) -> FineTuneJob:
        """The job that a host's message tells of, as the host says it is when asked; `WebhookError` where it is a lie.

        `payload` is the request's body as it came. The secret is by default OPENAI_WEBHOOK_SECRET.
        """
        return cls.attach(read_webhook(payload, headers, secret=secret).job_id, backend)

    def __repr__(self) -> str:
        return f"<FineTuneJob {self.id} on {self._backend.profile.name}: {self._state.status}>"

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
    def backend(self) -> Backend:
        """Where it runs."""
        return self._backend

    @property
    def state(self) -> JobState:
        """All that was known when the backend was last asked."""
        return self._state

    def refresh(self) -> FineTuneJob:
        """Ask the backend, unless the job has ended."""
        if not self._state.finished:
            self._learn(QUESTIONS.call(lambda: self._backend.job(self.id)))
        else:
            self._learn(self._state)
        return self

    def events(self, *, after: Event | str | None = None) -> list[Event]:
        """What has happened so far, the oldest first; with `after`, from behind that event on."""
        known = after.id if isinstance(after, Event) else after
        return QUESTIONS.call(lambda: self._backend.events(self.id, after=known))

    def follow(
        self,
        *,
        after: Event | str | None = None,
        timeout_seconds: float | None = None,
        on_notice: OnNotice | None = None,
        stuck_after_seconds: float | None = STUCK_AFTER_SECONDS,
    ) -> Iterator[Event]:
        """Every event once, from behind `after` or from the first, those to come included, until the job has ended.

        A network that drops does not end it, nor does a host in trouble; `on_notice` is told of both, and of a job to
        which nothing happens for so long. Ctrl-C raises `Detached`; the job goes on.
        """
        steps = self._steps(wishes(on_notice, stuck_after_seconds), timeout_seconds, after=after)
        return (event for _, news in drive(steps, self._come_back) if (event := _event(news)) is not None)

    def follow_async(
        self,
        *,
        after: Event | str | None = None,
        timeout_seconds: float | None = None,
        on_notice: OnNotice | None = None,
        stuck_after_seconds: float | None = STUCK_AFTER_SECONDS,
    ) -> AsyncIterator[Event]:
        """`follow` without blocking the event loop, for `async for`."""
        steps = self._steps(wishes(on_notice, stuck_after_seconds), timeout_seconds, after=after)
        return (event async for _, news in drive_async(steps, self._come_back) if (event := _event(news)) is not None)

    def wait(
        self,
        timeout_seconds: float | None = None,
        *,
        on_progress: Callable[[JobState], None] | None = None,
        on_notice: OnNotice | None = None,
        stuck_after_seconds: float | None = STUCK_AFTER_SECONDS,
    ) -> FineTuneJob:
        """Return the job when it has succeeded.

        Raises `JobFailedError` with the reason, `JobCancelledError`, or, after `timeout_seconds`, `WaitTimeoutError`.
        Ctrl-C raises `Detached`; the job goes on and can be attached again. `on_progress` is called at every look,
        `on_notice` when the host is in trouble, which is waited out, or when nothing happens to the job for so long.
        """
        wanted = wishes(on_notice, stuck_after_seconds, events=False)
        for _, news in drive(self._steps(wanted, timeout_seconds, on_progress=on_progress), self._come_back):
            _event(news)
        return self._succeeded()

    async def wait_async(
        self,
        timeout_seconds: float | None = None,
        *,
        on_progress: Callable[[JobState], None] | None = None,
        on_notice: OnNotice | None = None,
        stuck_after_seconds: float | None = STUCK_AFTER_SECONDS,
    ) -> FineTuneJob:
        """`wait` without blocking the event loop."""
        wanted = wishes(on_notice, stuck_after_seconds, events=False)
        steps = self._steps(wanted, timeout_seconds, on_progress=on_progress)
        async for _, news in drive_async(steps, self._come_back):
            _event(news)
        return self._succeeded()

    def _steps(
        self,
        wanted: Wishes,
        timeout_seconds: float | None,
        *,
        after: Event | str | None = None,
        on_progress: Callable[[JobState], None] | None = None,
    ) -> Steps:
        watch = self.watch(after, on_progress)
        return steps([Desk(self._backend, [watch], wanted)], Patience(timeout_seconds))

    def watch(self, after: Event | str | None = None, on_progress: Callable[[JobState], None] | None = None) -> Watch:
        """What `finetune_kit.following` takes to follow it, alone or with others."""

        def look(state: JobState) -> None:
            self._learn(state, told=False)
            if on_progress is not None:
                on_progress(state)

        if self._state.finished:
            self._learn(self._state)
        return Watch(
            state=self._state,
            after=after.id if isinstance(after, Event) else after,
            after_stamp=after.created_at.timestamp() if isinstance(after, Event) else 0.0,
            on_look=look,
            on_told=lambda event: remembering.told(self._backend, self.id, event_id=event.id),
            on_end=self._learn,
            keep=(lambda: keep(self._backend, self._state)) if keeps(self._backend) else None,
        )

    def _learn(self, state: JobState, *, told: bool = True) -> None:
        """Every state that is seen of it comes by here; `told` where the caller gets to know it by this."""
        self._state = state
        noted = (state.status, told and state.finished)
        if noted != self._noted and not (noted[0] == self._noted[0] and self._noted[1]):
            remembering.saw(self._backend, state, told_end=told)
            self._noted = noted

    def _come_back(self) -> Detached:
        return detached([(self.id, self._backend)])

    def _succeeded(self) -> FineTuneJob:
        state = self._state
        self._learn(state)
        if state.status == "cancelled":
            raise JobCancelledError(f"{self.id} was cancelled.", job_id=self.id)
        if state.status != "succeeded":
            reason = state.fault.message if state.fault is not None else "the backend gave no reason"
            raise JobFailedError(f"{self.id} has failed: {reason}", job_id=self.id)
        return self

    def cancel(self) -> FineTuneJob:
        """Stop the run for good; on this machine it is cancelled within a second."""
        self._learn(self._backend.cancel(self.id))
        remembering.let_go(self._backend, self.id)
        return self

    def pause(self) -> FineTuneJob:
        """Stop the run for now; on this machine it is paused within a second."""
        self._learn(self._backend.pause(self.id))
        return self

    def resume(self) -> FineTuneJob:
        """Go on with a paused run, from the step where it stopped."""
        self._learn(self._backend.resume(self.id))
        return self

    def results(self) -> Results:
        """What every step and every validation measured; `JobNotFinishedError` before the end.

        The host's file is kept under the home folder, and read from there once the host has deleted it.
        """
        self._need_success("results")
        return results_of(self._backend, self._state)

    def checkpoints(self) -> list[Checkpoint]:
        """Models from the ends of earlier epochs, the oldest first."""
        return QUESTIONS.call(lambda: self._backend.checkpoints(self.id))

    def best_checkpoint(self) -> BestCheckpoint:
        """The checkpoint, or final model, with the lowest validation loss, else the last; `.reason` says why."""
        return best_checkpoint_of(self._backend, self._state, self._need_success("checkpoints to choose from"))

    def model(self, checkpoint: Checkpoint | str | None = None, *, deployment: str | None = None) -> ModelClient:
        """The fine-tuned model, or the one of a checkpoint; `JobNotFinishedError` before the end.

        On Azure a model answers only by the name of its `deployment`.
        """
        if checkpoint is None:
            name = self._need_success("model")
        else:
            name = checkpoint if isinstance(checkpoint, str) else checkpoint.name
        return model_of(self._backend, name, deployment)

    def delete_files(self) -> tuple[str, ...]:
        """Delete the training and validation files at the host once the job has ended; the ids of those deleted.

        One that another unfinished job of this machine reads is kept.
        """
        return remembering.delete_files(self._backend, self.refresh().state)

    def archive(
        self,
        folder: str | os.PathLike[str],
        *,
        training: str | os.PathLike[str] | None = None,
        validation: str | os.PathLike[str] | None = None,
        yardstick: int = MOST_PROMPTS,
        budget: float | None = USUAL_BUDGET,
        deployment: str | None = None,
    ) -> Archive:
        """Bring home everything that the host still has of the job, with the sha256 of each file in `manifest.json`.

        What is not in it stands there with the reason. A second call fetches only what is missing or damaged. Where the
        host has a training or validation file no longer, the one that you name is taken instead.

        The model, while it answers, is asked for its answers to the validation prompts, at most `yardstick` of them,
        evenly spread; a model on another host is measured by them. That is one short call for each, some cents in all;
        the log tells the number and the price before. Where the price is over `budget`, in US dollars, or is not known,
        nothing is asked and the manifest says so; `budget=None` asks all the same, `yardstick=0` never. On Azure, a
        model answers only by the name of its `deployment`.
        """
        wanted = Wanted.of(
            training=training, validation=validation, yardstick=yardstick, budget=budget, deployment=deployment
        )
        return archive_job(self._backend, self.id, folder_of(folder), wanted)

    def migrate(
        self,
        *,
        to: Backend,
        model: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        training: str | os.PathLike[str] | None = None,
        validation: str | os.PathLike[str] | None = None,
        yardstick: int = MOST_PROMPTS,
        n_epochs: int | None = None,
        batch_size: int | None = None,
        learning_rate_multiplier: float | None = None,
        prompt_loss_weight: float | None = None,
        beta: float | None = None,
        options: TrainingOptions | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        budget: float | None = None,
    ) -> Migration[FineTuneJob]:
        """Bring the job home, as `archive` does, and train its data elsewhere, as `finetune_kit.migrate` does.

        It is brought into `folder`, by default one under the home folder. `training`, `validation` and `yardstick` are
        those of `archive`; `budget` is for the new training, as in `train`. The same call again finds the job that the
        first has started.

        >>> migration = job.migrate(to=LocalBackend())  # doctest: +SKIP
        >>> migration.job.wait()  # doctest: +SKIP
        >>> print(migration.compare())  # doctest: +SKIP
        """
        given = Given(
            model=model,
            n_epochs=n_epochs,
            batch_size=batch_size,
            learning_rate_multiplier=learning_rate_multiplier,
            prompt_loss_weight=prompt_loss_weight,
            beta=beta,
            options=options,
            suffix=suffix,
            seed=seed,
            budget=budget,
        )
        usual = home_folder() / "archives" / self._backend.profile.name / folder_name(self.id)
        archive = self.archive(folder or usual, training=training, validation=validation, yardstick=yardstick)
        return move(archive, to, given, make=FineTuneJob)

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


def wishes(on_notice: OnNotice | None, stuck_after_seconds: float | None, *, events: bool = True) -> Wishes:
    """What the caller of a method wants to be told, checked."""
    if stuck_after_seconds is not None:
        number("stuck_after_seconds", stuck_after_seconds, 0.001, math.inf)
    return Wishes(events=events, stuck_after_seconds=stuck_after_seconds, on_notice=on_notice)


def _event(news: News) -> Event | None:
    """The event, if it is one; raises where the job cannot be followed any more."""
    if isinstance(news, Lost):
        raise news.error
    return news if isinstance(news, Event) else None
