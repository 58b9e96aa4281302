"""A training that takes its own time: the backend says where it stands, and the simulator passes it on."""

from __future__ import annotations

from finetune_kit.backends import JobState
from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.finishing import add_checkpoint, model_name, succeed
from finetune_kit.testing.simulator.job import Job
from finetune_kit.testing.simulator.training import Trained
from finetune_kit.testing.simulator.validation import validate

_PASSED_ON = {"queued": ("running", "paused"), "running": ("paused",), "pausing": ("paused",), "paused": ("running",)}
"""Which of the backend's statuses the host shows next."""


class MirroredCourse:
    """Asks the backend whenever somebody looks at the job; the host validates the files itself before it starts."""

    def __init__(self, job: Job, desk: Desk, earlier: Trained | None) -> None:
        self._job, self._desk, self._earlier = job, desk, earlier
        self._validated_at = job.created_at + desk.pace.validating_seconds
        self._inner: str | None = None
        self._last_event: str | None = None
        self._known_checkpoints: set[str] = set()
        self._trained = Trained(base=job.base, inner="")
        self._model = ""

    def tick(self, now: float) -> None:
        """Let everything happen that is due."""
        if self._job.finished or self._job.status == self._job.held_at:
            return
        if self._inner is not None:
            self._mirror(self._inner, now)
        elif self._job.status == "validating_files" and now >= self._validated_at:
            self._begin(now)

    def step(self, now: float) -> None:
        """Begin at once; the rest is the backend's."""
        self._job.held_at = None
        if self._inner is None and self._job.status == "validating_files":
            self._begin(now)
        else:
            self.tick(now)

    def pause(self, now: float) -> None:
        """Ask the backend to stop for now."""
        self._job.enter("pausing", at=now)
        if self._inner is None:
            self._job.enter("paused", at=now)
        else:
            self._desk.trainer.backend.pause(self._inner)
            self.tick(now)

    def resume(self, now: float) -> None:
        """Go on."""
        if self._inner is None:
            self._job.enter("validating_files", at=now)
            self._validated_at = now + self._desk.pace.validating_seconds
        else:
            self._desk.trainer.backend.resume(self._inner)
            self._job.enter("queued", at=now)

    def cancel(self, now: float) -> None:
        """Stop for good."""
        if self._inner is not None:
            self._desk.trainer.backend.cancel(self._inner)
        self._job.tell("The job was cancelled", at=now)
        self._job.enter("cancelled", at=now)

    def _begin(self, now: float) -> None:
        job, desk = self._job, self._desk
        lesson = validate(job, desk, at=now)
        if lesson is None:
            return
        self._inner, labels = desk.trainer.start(job.order, lesson, earlier=self._earlier, seed=job.seed)
        self._trained = Trained(base=job.base, inner="", labels=tuple(labels), kind=lesson.kind)
        self._model = model_name(job)
        job.tell("Files validated, moving job to queued state", at=now)
        job.enter("queued", at=now)

    def _mirror(self, inner: str, now: float) -> None:
        backend, job = self._desk.trainer.backend, self._job
        state = backend.job(inner)
        events = backend.events(inner, after=self._last_event)
        for event in events:
            self._last_event = event.id
            if event.type == "metrics":
                job.tell_metrics(event.data, at=now)
        if events:
            self._tell_checkpoints(inner, now)
        if state.status in TERMINAL:
            self._end(state, now)
        elif state.status != job.status and state.status in _PASSED_ON.get(job.status, ()):
            job.enter(state.status, at=now)

    def _tell_checkpoints(self, inner: str, now: float) -> None:
        for checkpoint in self._desk.trainer.backend.checkpoints(inner):
            if checkpoint.name not in self._known_checkpoints:
                self._known_checkpoints.add(checkpoint.name)
                self._job.tell(f"Checkpoint created at step {checkpoint.step}", at=now)
                trained = self._behind(checkpoint.name)
                add_checkpoint(self._job, self._desk, checkpoint, model=self._model, trained=trained, at=now)

    def _end(self, state: JobState, now: float) -> None:
        if state.status == "succeeded":
            outcome = self._desk.trainer.outcome(state)
            trained = self._behind(state.fine_tuned_model or "")
            succeed(self._job, self._desk, outcome, model=self._model, trained=trained, at=now)
        elif state.status == "failed":
            message = "The training failed." if state.fault is None else state.fault.message
            self._job.fail("server_error" if state.fault is None else state.fault.code, message, at=now)
        else:
            self._job.enter(state.status, at=now)

    def _behind(self, inner: str) -> Trained:
        return Trained(base=self._trained.base, inner=inner, labels=self._trained.labels, kind=self._trained.kind)
