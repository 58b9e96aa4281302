"""`LocalBackend`: fine-tunes and serves open models on this machine; only the first fetch needs a network."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from finetune_kit._extras import installed, missing
from finetune_kit._progress import Progress, print_progress
from finetune_kit.backends.local.bases import check_folder
from finetune_kit.backends.local.counting import local_tokens
from finetune_kit.backends.local.export import Exported
from finetune_kit.backends.local.generate import Answering
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.launch import ensure_worker, see_to_wish, start_worker
from finetune_kit.backends.local.models import EMBEDDED
from finetune_kit.backends.local.options import Start, decided_options
from finetune_kit.backends.local.ranking import rank_by
from finetune_kit.backends.local.serving import Shelf
from finetune_kit.backends.local.spec import StoredSpec
from finetune_kit.backends.local.store import ModelRecord, Store
from finetune_kit.backends.local.weights import check_gguf, ensure_fetched, is_gguf
from finetune_kit.backends.protocol import (
    ChatMessages,
    Checkpoint,
    Event,
    ExportDtype,
    ExportFormat,
    FileState,
    Generation,
    JobSpec,
    JobState,
    PartJournal,
    Sampling,
)
from finetune_kit.cards import ModelCard
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import FINE_TUNED_PREFIX, HostProfile, Resolved, host_profile
from finetune_kit.tokens import ExampleTokens
from finetune_kit.uploads import SpooledFile

_PIECE_BYTES = 1 << 18
_PACKAGES = ("torch", "transformers", "peft", "safetensors", "gguf")


class LocalBackend:
    """The engine on this machine.

    `home` is where everything lies: else the environment variable FINETUNE_KIT_HOME, else this user's data folder.
    `base` replaces the embedded base model: a folder with safetensors, a GGUF file, or a Hugging Face id this machine
    can reach, with `@revision` for one commit, branch or tag of it.
    `device` is `cpu`, `cuda` or `mps`; by default the fastest there is.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        base: str | None = None,
        device: str | None = None,
        launcher: Literal["process"] = "process",
        *,
        progress: Progress | None = None,
    ) -> None:
        self._home_path, self._base, self._device, self._launcher = home, base, device, launcher
        self._progress = progress or print_progress

    def __repr__(self) -> str:
        return f"LocalBackend(home={self._home_path!r}, base={self._base!r}, device={self._device!r})"

    @cached_property
    def home(self) -> Home:
        """The folders of this engine."""
        return Home.at(self._home_path)

    @cached_property
    def _store(self) -> Store:
        for package in _PACKAGES:
            if not installed(package):
                raise missing(package, extra="local", purpose="The engine on this machine")
        return Store(self.home)

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf(self.home, self._device, self._progress)

    @property
    def account(self) -> str:
        """The home folder."""
        return str(self.home.root)

    @property
    def most_logprobs(self) -> int:
        """As many as OpenAI's chat API tells."""
        return 20

    @property
    def profile(self) -> HostProfile:
        """The engine's limits and models."""
        profile = host_profile("local")
        if self._base is None:
            return profile
        base = _absolute(self._base)
        given = next(iter(profile.models.values())).model_copy(
            update={"about": "given as base=", "tokenizer": None, "training_context_tokens": None}
        )
        names = {base: given, **profile.models}
        aliases = dict.fromkeys(profile.aliases, base)
        return profile.model_copy(update={"models": names, "aliases": aliases})

    def resolve(self, model: str) -> Resolved:
        """What `model` means here: the base model, a stand-in for a hosted name, or an earlier fine-tuned model."""
        if model.startswith(FINE_TUNED_PREFIX):
            self._record(model)
            return Resolved(requested=model, model=model, base=self._base_of(model))
        return self.profile.resolve(_absolute(model) if model == self._base else model)

    def preflight(self, model: Resolved) -> None:
        """Check that the engine's packages are installed, and fetch the base model if it is not here yet."""
        if self._launcher != "process":
            raise ParameterError(
                f"launcher={self._launcher!r} is not known; this version has 'process'.", parameter="launcher"
            )
        _ = self._store
        base = self._base_of(model.model)
        if base in EMBEDDED:
            ensure_fetched(self.home, EMBEDDED[base], self._progress)
        elif is_gguf(base):
            check_gguf(base)
        else:
            check_folder(base)

    def upload(
        self,
        file: SpooledFile,
        *,
        journal: PartJournal | None = None,  # noqa: ARG002 - the protocol's
        on_progress: Callable[[int], None] | None = None,
    ) -> FileState:
        """Store a file."""
        stored = self._store.file(self._store.add_file(file.blocks(), filename=file.filename))
        if on_progress is not None:
            on_progress(stored.size_bytes)
        return stored

    def file(self, file_id: str) -> FileState:
        """A stored file."""
        return self._store.file(file_id)

    def files(self) -> list[FileState]:
        """All stored training files, the newest first."""
        return self._store.files()

    def delete_file(self, file_id: str) -> None:
        """Delete a stored file; a job that has not read it yet fails."""
        self._store.delete_file(file_id)

    def file_content(self, file_id: str) -> bytes:
        """A stored file's bytes."""
        path = self._store.file_path(file_id)
        with self.home.writing(path):
            return path.read_bytes()

    def file_pieces(self, file_id: str) -> Iterator[bytes]:
        """The same piece by piece."""
        path = self._store.file_path(file_id)
        with self.home.writing(path), path.open("rb") as content:
            while piece := content.read(_PIECE_BYTES):
                yield piece

    def start(self, spec: JobSpec) -> JobState:
        """Queue a job and start a worker process for it.

        `ParameterError` where its options do not go with the model that is trained further.
        """
        tuned = spec.model.model.startswith(FINE_TUNED_PREFIX)
        earlier = Start.of(self.home.root / self._record(spec.model.model).folder if tuned else None)
        decided_options(spec.hyperparameters.options, earlier, validated=spec.validation_file is not None)
        stored = StoredSpec(
            token=spec.token,
            metadata=dict(spec.metadata),
            base=self._base_of(spec.model.model),
            start_from=spec.model.model if tuned else None,
            training_file=spec.training_file,
            validation_file=spec.validation_file,
            hyperparameters=spec.hyperparameters,
            suffix=spec.suffix,
            seed=spec.seed,
            method=spec.method,
            device=self._device,
            card=spec.card,
        )
        notes = [("warn", spec.model.note)] if spec.model.note else []
        notes.append(("info", f"Created fine-tuning job on {stored.base}."))
        job_id = self._store.add_job(model=spec.model.model, spec=stored.model_dump_json().encode(), first_events=notes)
        start_worker(self.home, self._store)
        return self._store.job(job_id)

    def started(self, spec: JobSpec) -> list[JobState]:
        """The job that came of this specification, if it did."""
        return self._store.started(spec.token)

    def job(self, job_id: str) -> JobState:
        """A job now; one whose worker has died gets a new one."""
        state = self._store.job(job_id)
        if not state.finished and state.status != "paused":
            ensure_worker(self.home, self._store)
        return state

    def jobs(self) -> list[JobState]:
        """All jobs in this home folder, the newest first."""
        return self._store.jobs()

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        """A job's events, the oldest first."""
        return self._store.events(job_id, after=after)

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """The models at the end of the last epochs but the final one, and the best where that was asked for."""
        return self._store.checkpoints(job_id)

    def cancel(self, job_id: str) -> JobState:
        """Stop a job for good: within a second, whatever its worker is doing."""
        self._store.cancel(job_id)
        see_to_wish(self.home, self._store, job_id)
        return self.job(job_id)

    def pause(self, job_id: str) -> JobState:
        """Stop a job for now, within a second: it goes on from the same step, or from the state saved last."""
        self._store.pause(job_id)
        see_to_wish(self.home, self._store, job_id)
        return self.job(job_id)

    def resume(self, job_id: str) -> JobState:
        """Queue a paused job again, or take back the wish to pause it."""
        if self._store.resume(job_id):
            start_worker(self.home, self._store)
        return self.job(job_id)

    def card(self, model: str) -> ModelCard:
        """A model's card."""
        if not model.startswith(FINE_TUNED_PREFIX):
            resolved = self.resolve(model)
            return ModelCard(name=resolved.model, base=resolved.model, requested_model=model, kind="chat")
        return ModelCard.model_validate_json(self._record(model).card)

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """Go on from each prompt, which is taken as it is."""
        answering = self._load(model)
        return answering.generate(_prompts(answering, prompts), sampling)

    def chat(self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling) -> list[Generation]:
        """Answer each conversation, laid out by the base model's chat template."""
        answering = self._load(model)
        return answering.generate(_conversations(answering, conversations), sampling)

    async def complete_async(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """`complete` without blocking the event loop."""
        answering = await asyncio.to_thread(self._load, model)
        return await answering.generate_async(_prompts(answering, prompts), sampling)

    async def chat_async(
        self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling
    ) -> list[Generation]:
        """`chat` without blocking the event loop."""
        answering = await asyncio.to_thread(self._load, model)
        return await answering.generate_async(_conversations(answering, conversations), sampling)

    def stream(self, model: str, prompt: str, sampling: Sampling) -> Iterator[str]:
        """The completion of one prompt; whoever stops reading ends it."""
        answering = self._load(model)
        return answering.stream(answering.served.encoder.prompt(prompt), sampling)

    def stream_chat(self, model: str, messages: ChatMessages, sampling: Sampling) -> Iterator[str]:
        """The answer to one conversation."""
        answering = self._load(model)
        return answering.stream(answering.served.encoder.conversation(messages, ask=True), sampling)

    def rank(self, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[list[float]]:
        """For each prompt, how probable each of `completions` is among them."""
        answering = self._load(model)
        return _rank(answering, _prompts(answering, prompts), completions)

    def rank_chat(self, model: str, conversations: Sequence[ChatMessages], answers: Sequence[str]) -> list[list[float]]:
        """The same for an assistant's answers to conversations."""
        answering = self._load(model)
        return _rank(answering, _conversations(answering, conversations), answers)

    def example_tokens(self, model: str) -> ExampleTokens:
        """Counts examples by the base model's own tokenizer and chat template."""
        return local_tokens(self.home, self._base_of(model))

    def export(
        self,
        model: str,
        path: str | os.PathLike[str],
        *,
        format: ExportFormat | None = None,  # noqa: A002 - the field's word
        dtype: ExportDtype | None = None,
    ) -> Path:
        """Write a model for other programs; see `ModelClient.export`."""
        _ = self._store  # says what is not installed
        tuned = model.startswith(FINE_TUNED_PREFIX)
        exported = Exported(
            home=self.home,
            name=model if tuned else self._base_of(model),
            base=self._base_of(model),
            folder=self.home.root / self._record(model).folder if tuned else None,
            card=self.card(model),
        )
        return exported.to(path, format=format, dtype=dtype, progress=self._progress)

    def _load(self, model: str) -> Answering:
        _ = self._store  # says what is not installed
        tuned = model.startswith(FINE_TUNED_PREFIX)
        folder = self.home.root / self._record(model).folder if tuned else None
        base = self._base_of(model)
        return self._shelf.get(model if tuned else base, base=base, folder=folder)

    def _record(self, model: str) -> ModelRecord:
        record = self._store.model(model)
        if record is None:
            raise self.profile.unknown(model, others=self._store.model_names())
        return record

    def _base_of(self, model: str) -> str:
        """The base model to load for a base's name, an alias or a fine-tuned model."""
        if model.startswith(FINE_TUNED_PREFIX):
            return ModelCard.model_validate_json(self._record(model).card).base
        return self.resolve(model).model


def _absolute(base: str) -> str:
    """The absolute path of a folder or file, since the worker has another working directory; an id as it is."""
    folder = Path(base).expanduser()
    return str(folder.absolute()) if folder.is_dir() or is_gguf(base) else base


def _prompts(answering: Answering, prompts: Sequence[str]) -> list[list[int]]:
    return [answering.served.encoder.prompt(prompt) for prompt in prompts]


def _conversations(answering: Answering, conversations: Sequence[ChatMessages]) -> list[list[int]]:
    return [answering.served.encoder.conversation(messages, ask=True) for messages in conversations]


def _rank(answering: Answering, prompts: Sequence[Sequence[int]], completions: Sequence[str]) -> list[list[float]]:
    encoder = answering.served.encoder
    return rank_by(answering, prompts, [[*encoder.text(completion), encoder.end] for completion in completions])
