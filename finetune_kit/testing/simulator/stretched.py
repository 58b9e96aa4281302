"""A training that takes no time, spread over as much of it as the host's pace says."""

from __future__ import annotations

from collections import deque
from math import inf

from finetune_kit.backends import Checkpoint, Event
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.finishing import add_checkpoint, model_name, succeed
from finetune_kit.testing.simulator.job import Job
from finetune_kit.testing.simulator.training import Learned, Lesson, Outcome, Trained
from finetune_kit.testing.simulator.validation import validate


class StretchedCourse:
    """Each change of status has its time; whoever looks at the job first after it makes it happen."""

    def __init__(self, job: Job, desk: Desk, earlier: Trained | None) -> None:
        self._job, self._desk, self._earlier = job, desk, earlier
        self._next_at = job.created_at + desk.pace.validating_seconds
        self._lesson: Lesson | None = None
        self._learned: Learned | None = None
        self._model = ""
        self._due: deque[tuple[float, Event | Checkpoint]] = deque()
        """What the training told, each with the share of the training that is over by then."""
        self._ran_from, self._ran_seconds = 0.0, 0.0

    def tick(self, now: float) -> None:
        """Let everything happen that is due."""
        job = self._job
        while job.status != job.held_at and self._next_at <= now and not job.finished:
            self._go_on(self._next_at)
        if job.status == "running" and job.held_at != "running":
            self._release(now)

    def step(self, now: float) -> None:
        """Go on to the next status at once."""
        if not self._job.finished:
            self._job.held_at = None
            self._next_at = now
            self._go_on(now)

    def pause(self, now: float) -> None:
        """Stop for now, keeping what was trained."""
        if self._job.status == "running":
            self._ran_seconds = now - self._ran_from
        self._job.enter("pausing", at=now)
        self._next_at = now + self._desk.pace.pausing_seconds
        self.tick(now)

    def resume(self, now: float) -> None:
        """Queue again."""
        self._job.enter("queued" if self._lesson is not None else "validating_files", at=now)
        self._job.tell("The job was resumed and is queued again", at=now)
        pace = self._desk.pace
        self._next_at = now + (pace.queued_seconds if self._lesson is not None else pace.validating_seconds)

    def cancel(self, now: float) -> None:
        """Stop for good."""
        self._job.tell("The job was cancelled", at=now)
        self._job.enter("cancelled", at=now)

    def _go_on(self, at: float) -> None:
        job, pace = self._job, self._desk.pace
        match job.status:
            case "validating_files":
                self._lesson = validate(job, self._desk, at=at)
                if self._lesson is not None:
                    job.tell("Files validated, moving job to queued state", at=at)
                    job.enter("queued", at=at)
                    self._next_at = at + pace.queued_seconds
            case "queued":
                self._begin(at)
            case "pausing":
                job.tell("The job was paused", at=at)
                job.enter("paused", at=at)
                self._next_at = inf
            case "running":
                self._release(at, to_the_end=True)
                self._end(at)
            case _:
                self._next_at = inf

    def _begin(self, at: float) -> None:
        job, trainer = self._job, self._desk.trainer
        if self._learned is None and self._lesson is not None:
            self._learned = trainer.learn_at_once(job.order, self._lesson, earlier=self._earlier, seed=job.seed)
            self._model = model_name(job)
            self._plan(self._learned.outcome)
        job.tell("Fine-tuning job started", at=at)
        job.enter("running", at=at)
        self._ran_from = at - self._ran_seconds
        self._next_at = self._ran_from + self._desk.pace.running_seconds
        job.estimated_finish = self._next_at if self._next_at < inf else None

    def _plan(self, outcome: Outcome) -> None:
        steps = max((step for event in outcome.metrics if isinstance(step := event.data.get("step"), int)), default=1)
        timed: list[tuple[float, Event | Checkpoint]] = []
        for event in outcome.metrics:
            step = event.data.get("step")
            timed.append(((step if isinstance(step, int) else steps) / steps, event))
        timed += [(checkpoint.step / steps, checkpoint) for checkpoint in outcome.checkpoints]
        timed.sort(key=lambda one: one[0])  # stable: a step's losses come before its checkpoint
        self._due.extend(timed)

    def _release(self, now: float, *, to_the_end: bool = False) -> None:
        running = self._desk.pace.running_seconds
        while self._due:
            share, told = self._due[0]
            due = self._ran_from + share * running
            if due > now and not to_the_end:
                return
            self._due.popleft()
            at = min(due, now)
            if isinstance(told, Event):
                self._job.tell_metrics(told.data, at=at)
            else:
                self._job.tell(f"Checkpoint created at step {told.step}", at=at)
                trained = self._trained(told.name)
                add_checkpoint(self._job, self._desk, told, model=self._model, trained=trained, at=at)

    def _end(self, at: float) -> None:
        outcome = None if self._learned is None else self._learned.outcome
        if outcome is None or outcome.state.fine_tuned_model is None:
            fault = None if outcome is None else outcome.state.fault
            self._job.fail("server_error", "The training failed." if fault is None else fault.message, at=at)
            return
        trained = self._trained(outcome.state.fine_tuned_model)
        succeed(self._job, self._desk, outcome, model=self._model, trained=trained, at=at)

    def _trained(self, inner: str) -> Trained:
        kind = None if self._lesson is None else self._lesson.kind
        labels = () if self._learned is None else self._learned.labels
        return Trained(base=self._job.base, inner=inner, labels=labels, kind=kind)
