"""A test's hand on the jobs of a simulated host."""

from __future__ import annotations

import time
from dataclasses import dataclass

from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.errors import JobNotFoundError, ParameterError
from finetune_kit.testing.simulator.job import Job
from finetune_kit.testing.simulator.jobs import JobBook
from finetune_kit.testing.simulator.manual_clock import ManualClock
from finetune_kit.testing.simulator.refusals import Refusal

_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Steering:
    """What happens to one job, or to the host, because somebody says so."""

    book: JobBook

    def advance(self, job_id: str) -> str:
        """Let a job go on to its next status at once; returns that status."""
        with self.book.desk.lock:
            job = self._job(job_id)
            job.course.step(self.book.desk.now())
            return job.status

    def finish(self, job_id: str) -> str:
        """Let a job go on to its end at once, or until it rests; returns its status then."""
        status = self.advance(job_id)
        while status not in (*TERMINAL, "paused"):
            before, status = status, self.advance(job_id)
            if status == before:  # a backend that takes its own time
                time.sleep(_LOOK_SECONDS)
        return status

    def fail(self, job_id: str, message: str, *, code: str) -> None:
        """Let a job fail; what has ended stays as it is."""
        with self.book.desk.lock:
            job = self._job(job_id)
            if not job.finished:
                job.fail(code, message, at=self.book.desk.now())

    def close_to_training(self, model: str) -> None:
        """From now on a base model answers, but takes no new jobs."""
        with self.book.desk.lock:
            models = self.book.desk.models
            models.closed_to_training.add(models.dated(model))

    def deploy(self, model: str, *, name: str) -> None:
        """Let a model answer under the name of a deployment."""
        desk = self.book.desk
        with desk.lock:
            try:
                desk.models.find(model, desk.now())
            except Refusal as refusal:
                raise ParameterError(f"the simulated host has no model {model!r}.", parameter="model") from refusal
            desk.models.deployments[name] = model

    def pass_time(self, seconds: float) -> None:
        """Move the host's own clock on."""
        clock = self.book.desk.clock
        if not isinstance(clock, ManualClock):
            raise ParameterError("only a host with a ManualClock lets time pass on command.", parameter="clock")
        clock.advance(seconds)

    def _job(self, job_id: str) -> Job:
        try:
            return self.book.get(job_id)
        except Refusal:
            raise JobNotFoundError(f"the simulated host has no job {job_id!r}.", job_id=job_id) from None
