"""A host in memory that fails as it is told to: before anything is done, or after it, when only the answer is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypeVar

from finetune_kit.backends import FileState, JobSpec, JobState, PartJournal
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.hosts import HostProfile, Resolved
from finetune_kit.launching import Order
from finetune_kit.testing import MemoryBackend
from finetune_kit.uploads import SpooledFile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lost:
    """Everything is done, and then this is raised."""

    error: BaseException


@dataclass
class World:
    """What is at the host, whichever object talks to it, and what will go wrong there."""

    memory: MemoryBackend = field(default_factory=lambda: MemoryBackend(advance_on_look=False))
    script: dict[str, list[BaseException | Lost | None]] = field(default_factory=dict)
    """For each call, what happens at its next uses; None is nothing, and so is the end of the list."""
    asked: list[str] = field(default_factory=list)
    specs: dict[str, JobSpec] = field(default_factory=dict)
    hidden: dict[str, int] = field(default_factory=dict)
    """Jobs that will not stand in the lists for so many looks."""
    files: dict[str, FileState] = field(default_factory=dict)
    """Files as they are told instead of how they are."""

    @property
    def jobs(self) -> list[JobState]:
        return self.memory.jobs()

    @property
    def live(self) -> list[str]:
        return [job.id for job in self.jobs if not job.finished]

    def count(self, call: str) -> int:
        return self.asked.count(call)

    def act(self, call: str, do: Callable[[], T]) -> T:
        self.asked.append(call)
        planned = self.script.get(call) or [None]
        fault = planned.pop(0)
        if isinstance(fault, BaseException):
            raise fault
        done = do()
        if isinstance(fault, Lost):
            raise fault.error
        return done


class Host(MemoryBackend):
    """One process's view of the world."""

    def __init__(self, world: World, *, keeps_metadata: bool = True, account: str | None = "acct") -> None:
        super().__init__(account=account)
        self.world, self._keeps_metadata = world, keeps_metadata

    @property
    def profile(self) -> HostProfile:
        update = {"name": "scripted", "openai_api": True, "keeps_metadata": self._keeps_metadata}
        return super().profile.model_copy(update=update)

    def preflight(self, model: Resolved) -> None:
        self.world.act("preflight", lambda: None)

    def upload(
        self,
        file: SpooledFile,
        *,
        journal: PartJournal | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> FileState:
        return self.world.act("upload", lambda: self._told(self.world.memory.upload(file, on_progress=on_progress)))

    def file(self, file_id: str) -> FileState:
        return self.world.act("file", lambda: self._told(self.world.memory.file(file_id)))

    def files(self) -> list[FileState]:
        return self.world.act("files", self.world.memory.files)

    def delete_file(self, file_id: str) -> None:
        self.world.memory.delete_file(file_id)

    def start(self, spec: JobSpec) -> JobState:
        def do() -> JobState:
            made = self.world.memory.start(spec)
            self.world.specs[made.id] = spec
            return made

        return self.world.act("start", do)

    def started(self, spec: JobSpec) -> list[JobState]:
        return self.world.act("started", lambda: self._started(spec))

    def _started(self, spec: JobSpec) -> list[JobState]:
        found: list[JobState] = []
        for job in reversed(self.world.memory.jobs()):
            other = self.world.specs[job.id]
            same = (
                other.token == spec.token
                if self._keeps_metadata
                else (other.training_file, other.validation_file, other.model.model, other.suffix)
                == (spec.training_file, spec.validation_file, spec.model.model, spec.suffix)
            )
            if same and self.world.hidden.get(job.id, 0) > 0:
                self.world.hidden[job.id] -= 1
            elif same:
                found.append(job)
        return found

    def job(self, job_id: str) -> JobState:
        return self.world.act("job", lambda: self.world.memory.job(job_id))

    def cancel(self, job_id: str) -> JobState:
        return self.world.act("cancel", lambda: self.world.memory.cancel(job_id))

    def _told(self, state: FileState) -> FileState:
        return self.world.files.get(state.id, state)


def spooled(text: str = "one", filename: str = "training.jsonl") -> SpooledFile:
    return SpooledFile.of([f'{{"prompt": "{text}", "completion": "{text}"}}'.encode()] * 12, filename=filename)


def order(text: str = "one", *, validation: str | None = None, reuse_files: bool = True, **hyper: int) -> Order:
    return Order(
        model=Resolved(requested="davinci", model="memory-1"),
        card=ModelCard(base="memory-1", requested_model="davinci", kind="completion"),
        training=spooled(text),
        validation=None if validation is None else spooled(validation, "validation.jsonl"),
        hyperparameters=Hyperparameters.model_validate(hyper),
        suffix="parcels",
        reuse_files=reuse_files,
    )


def file_state(file_id: str, **changes: object) -> FileState:
    state = FileState(id=file_id, filename="training.jsonl", size_bytes=1, created_at=datetime.now(UTC))
    return replace(state, **changes)  # type: ignore[arg-type]
