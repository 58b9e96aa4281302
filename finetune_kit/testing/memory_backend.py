"""`MemoryBackend`: the whole protocol without a model, a network or a disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

from finetune_kit.backends import Checkpoint, Event, FileState, Generation, JobSpec, JobState, PartJournal, Sampling
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.cards import ModelCard
from finetune_kit.errors import JobNotFoundError
from finetune_kit.hosts import HostProfile, ModelFacts, Resolved, host_profile
from finetune_kit.testing.memory_job import RESULTS, MemoryJob, MemoryShelf
from finetune_kit.testing.memory_model import MemoryModel, conversation
from finetune_kit.uploads import SpooledFile

BASE = "memory-1"
_FACTS = ModelFacts(about="learns by heart", source="a backend for tests", as_of=date(2026, 11, 22))


class MemoryBackend:
    """A backend for tests: it learns examples by heart, answers with the nearest one, and vanishes with the object.

    Of preference pairs it learns the preferred answers.

    A job moves on by one status each time it is looked at: queued, validating_files, running, succeeded. With
    `advance_on_look=False` only `advance` moves it. With an `account`, what is started here is remembered on this
    machine as the jobs of a host are.

    >>> from finetune_kit import Dataset
    >>> split = Dataset.from_records([(f"Where is parcel {n}?", "track") for n in range(20)]).split(0.8)
    >>> split.train(backend=MemoryBackend()).wait().model().complete("Where, oh where is parcel 77?")
    'track'
    """

    def __init__(self, *, advance_on_look: bool = True, account: str | None = None) -> None:
        self._advance_on_look, self._account = advance_on_look, account
        self._shelf = MemoryShelf()
        self._jobs: dict[str, MemoryJob] = {}

    def advance(self, job_id: str) -> JobState:
        """Move a job on by one status."""
        job = self._job(job_id)
        job.advance()
        return job.state

    def fail(self, job_id: str, message: str, *, code: str = "server_error") -> JobState:
        """Let a job fail, as hosts do."""
        job = self._job(job_id)
        job.fail(code, message)
        return job.state

    @property
    def account(self) -> str | None:
        """Nobody's by default: all is gone with the object."""
        return self._account

    @property
    def profile(self) -> HostProfile:
        """The limits of the local engine, and its aliases."""
        local = host_profile("local")
        update = {
            "name": "memory",
            "source": "a backend for tests",
            "methods": ("supervised", "dpo"),
            "models": {BASE: _FACTS},
            "aliases": dict.fromkeys(local.aliases, BASE),
            "alias_note": "It is no language model.",
        }
        return local.model_copy(update=update)

    def resolve(self, model: str) -> Resolved:
        """The one base model, a stand-in for a hosted name, or a model that was trained here."""
        if model in self._shelf.models:
            return Resolved(requested=model, model=model, base=self._shelf.models[model][0].base)
        try:
            return self.profile.resolve(model)
        except LookupError:
            raise self.profile.unknown(model, others=tuple(self._shelf.models)) from None

    def preflight(self, model: Resolved) -> None:
        """Nothing is needed."""

    def upload(
        self,
        file: SpooledFile,
        *,
        journal: PartJournal | None = None,  # noqa: ARG002 - the protocol's
        on_progress: Callable[[int], None] | None = None,
    ) -> FileState:
        """Keep a file."""
        if on_progress is not None:
            on_progress(file.size_bytes)
        return self._shelf.add_file(file.content(), filename=file.filename)

    def file(self, file_id: str) -> FileState:
        """A kept file."""
        return self._shelf.file(file_id)[0]

    def files(self) -> list[FileState]:
        """All kept training files, the newest first."""
        return [state for state, _ in reversed(self._shelf.files.values()) if state.filename != RESULTS]

    def delete_file(self, file_id: str) -> None:
        """Forget a file."""
        self._shelf.file(file_id)
        del self._shelf.files[file_id]

    def file_content(self, file_id: str) -> bytes:
        """A kept file's bytes."""
        return self._shelf.file(file_id)[1]

    def start(self, spec: JobSpec) -> JobState:
        """Queue a job."""
        job = MemoryJob(len(self._jobs) + 1, spec, self._shelf)
        self._jobs[job.state.id] = job
        return job.state

    def started(self, spec: JobSpec) -> list[JobState]:
        """The job that came of this specification, if it did."""
        return [job.state for job in self._jobs.values() if job.token == spec.token]

    def job(self, job_id: str) -> JobState:
        """A job now, one status further than at the last look."""
        job = self._job(job_id)
        if self._advance_on_look:
            job.advance()
        return job.state

    def jobs(self) -> list[JobState]:
        """All jobs, the newest first; they do not move on by this."""
        return [job.state for job in reversed(self._jobs.values())]

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        """A job's events, the oldest first."""
        events = self._job(job_id).events
        seen = next((place for place, event in enumerate(events, 1) if event.id == after), 0)
        return events[seen:]

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """The models at the end of the last epochs but the final one."""
        return list(self._job(job_id).checkpoints)

    def cancel(self, job_id: str) -> JobState:
        """Stop a job for good, at once."""
        job = self._job(job_id)
        job.move("cancelled", "Cancelled.")
        return job.state

    def pause(self, job_id: str) -> JobState:
        """Stop a job for now, at once."""
        job = self._job(job_id)
        if job.state.status != "paused":
            job.move("paused", "Paused.")
        return job.state

    def resume(self, job_id: str) -> JobState:
        """Queue a paused job again."""
        job = self._job(job_id)
        if job.state.status == "paused":
            job.move("queued", "Resumed.")
        return job.state

    def card(self, model: str) -> ModelCard:
        """A model's card."""
        base = self.resolve(model).model
        if base in self._shelf.models:
            return self._shelf.models[base][0]
        return ModelCard(name=base, base=base, requested_model=model, backend=self.profile.name, kind="chat")

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """The completion of the nearest prompt that was learned."""
        known = self._model(model)
        return [known.generate(prompt, sampling) for prompt in prompts]

    def chat(self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling) -> list[Generation]:
        """The answer to the nearest conversation that was learned."""
        return self.complete(model, [conversation(one) for one in conversations], sampling)

    def rank(self, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[list[float]]:
        """For each prompt, how near those are that each of `completions` was learned with."""
        known = self._model(model)
        return [known.rank(prompt, completions) for prompt in prompts]

    def rank_chat(self, model: str, conversations: Sequence[ChatMessages], answers: Sequence[str]) -> list[list[float]]:
        """The same for an assistant's answers to conversations."""
        return self.rank(model, [conversation(one) for one in conversations], answers)

    def _job(self, job_id: str) -> MemoryJob:
        if job_id not in self._jobs:
            raise JobNotFoundError(f"there is no job {job_id!r} in this memory.", job_id=job_id)
        return self._jobs[job_id]

    def _model(self, name: str) -> MemoryModel:
        resolved = self.resolve(name).model
        return self._shelf.models[resolved][1] if resolved in self._shelf.models else MemoryModel()
