"""The jobs at the host, the newest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.job import Course, Job
from finetune_kit.testing.simulator.ordering import JobOrder, read_order
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.training import Trained
from finetune_kit.testing.simulator.wire import JsonObject


@dataclass(slots=True)
class JobBook:
    """Creates jobs and finds them again; a job moves on when somebody looks at it."""

    desk: Desk
    course_of: Callable[[Job, Desk, Trained | None], Course]
    training_allowed: bool = True
    max_pending_jobs: int | None = None
    _jobs: dict[str, Job] = field(default_factory=dict[str, Job])

    def create(self, body: JsonObject) -> Job:
        """A new job, or a `Refusal`."""
        desk, now = self.desk, self.desk.now()
        if not self.training_allowed:
            raise Refusal.training_not_available()
        order = read_order(body, desk.flavour)
        base, earlier = desk.models.to_train(order.model, now)
        self._check_file(order.training_file, "training_file", now)
        if order.validation_file is not None:
            self._check_file(order.validation_file, "validation_file", now)
        self._check_slots(base)
        job = self._new(order, base, now, earlier=earlier)
        self._jobs[job.id] = job
        job.course = self.course_of(job, desk, earlier)
        job.tell(f"Created fine-tuning job: {job.id}", at=now)
        job.tell(f"Validating training file: {order.training_file}", at=now)
        if order.validation_file is not None:
            job.tell(f"Validating validation file: {order.validation_file}", at=now)
        return job

    def get(self, job_id: str) -> Job:
        """A job as it is now, or a `Refusal`."""
        if job_id not in self._jobs:
            raise Refusal.no_job(job_id)
        job = self._jobs[job_id]
        job.course.tick(self.desk.now())
        return job

    def newest_first(self, fits: Callable[[Mapping[str, str]], bool], *, after: str | None = None) -> Iterator[Job]:
        """The jobs that lists show, as they are now: those whose metadata fit, from behind the one called `after`."""
        if after is not None and after not in self._jobs:
            raise Refusal.no_job(after)
        now, reached = self.desk.now(), after is None
        for job in reversed(self._jobs.values()):
            if reached and job.listed_from <= now and fits(job.metadata):
                job.course.tick(now)
                yield job
            reached = reached or job.id == after

    def all(self) -> list[Job]:
        """All jobs, the oldest first, as they are now."""
        now = self.desk.now()
        for job in self._jobs.values():
            job.course.tick(now)
        return list(self._jobs.values())

    def pending(self, base: str) -> int:
        """How many jobs on a base model have not begun."""
        return sum(job.base == base and job.pending for job in self.all())

    def _new(self, order: JobOrder, base: str, now: float, *, earlier: Trained | None) -> Job:
        desk = self.desk
        names = desk.names
        return Job(
            id=names.hexadecimal("ftjob-") if desk.flavour.azure else names.new("ftjob-"),
            order=order,
            model=base if earlier is None else order.model,
            base=base,
            seed=names.number(2**31) if order.seed is None else order.seed,
            created_at=now,
            names=names,
            flavour=desk.flavour,
            settings=dict(order.hyperparameters),
        )

    def _check_file(self, file_id: str, param: str, now: float) -> None:
        file = self.desk.files.find(file_id, now)
        if file is None:
            raise Refusal.invalid(f"invalid {param}: {file_id}", param=param)
        if file.purpose != "fine-tune":
            message = f"File '{file_id}' has purpose '{file.purpose}', but must have purpose 'fine-tune'."
            raise Refusal.invalid(message, param=param, code="invalid_file_purpose")
        status = file.status(now)
        if status == "uploaded":
            message = (
                f"File '{file_id}' is still being processed and is not ready to be used for fine-tuning. Please try "
                "again later."
            )
            raise Refusal.invalid(message, param=param, code="file_not_ready")
        if status == "error":
            raise Refusal.invalid(f"File '{file_id}' could not be processed.", param=param, code="invalid_file")

    def _check_slots(self, base: str) -> None:
        most = self.max_pending_jobs
        if most is not None and (pending := self.pending(base)) >= most:
            message = (
                "This fine-tune request has been rate-limited. Your organization has reached the maximum of "
                f"{most} pending requests ({pending} pending) for the model '{base}'."
            )
            raise Refusal(429, message, code="rate_limit_exceeded")
