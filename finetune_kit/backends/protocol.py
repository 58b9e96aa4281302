"""The one seam to the outside: what every place that trains and serves models must offer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, runtime_checkable
from uuid import uuid4

from finetune_kit.backends.tool_calls import ToolCall
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.hosts import HostProfile, Method, Resolved
from finetune_kit.records import JsonValue
from finetune_kit.tokens import ExampleTokens
from finetune_kit.uploads import SpooledFile

TERMINAL = frozenset({"succeeded", "failed", "cancelled"})
"""Every other status is a live one: hosts add words of their own."""

ChatMessages: TypeAlias = Sequence[Mapping[str, JsonValue]]
ExportFormat: TypeAlias = Literal["peft", "safetensors", "gguf"]
ExportDtype: TypeAlias = Literal["bfloat16", "float16", "float32", "q8_0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A file as the backend sees it at one moment."""

    id: str
    filename: str
    """As it was given at the upload; empty where the host does not keep it."""
    size_bytes: int
    created_at: datetime
    status: str = "processed"
    """`uploaded`, `processed` or `error`; hosts may say other words."""
    reason: str = ""
    """Why the host cannot use it, where it says so."""


class PartJournal(Protocol):
    """What is remembered of an upload in parts, so that another process can go on with it."""

    @property
    def upload_id(self) -> str | None:
        """The upload that was begun, or None."""
        ...

    @property
    def parts(self) -> Mapping[int, str]:
        """Ids of the parts that have arrived, by their number from 0."""
        ...

    def begin(self, upload_id: str, *, part_bytes: int) -> None:
        """Remember a new upload, and forget the one before."""
        ...

    def arrived(self, number: int, part_id: str) -> None:
        """Remember a part; may be called from several threads."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What to train; files are ids that the backend gave."""

    token: str = field(default_factory=lambda: uuid4().hex)
    """Tells this job from all others; it travels with the job where the host keeps metadata."""
    order: str = ""
    """The same for everyone who orders the same training, whatever key they use; it travels likewise."""
    model: Resolved
    training_file: str
    validation_file: str | None = None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    suffix: str | None = None
    seed: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])
    """The user's own; the backend adds the token and the order."""
    method: Method = "supervised"
    card: ModelCard
    """Goes with the model; the backend fills in its name, its dates and the values it chose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFault:
    """Why a job failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job as the backend sees it at one moment."""

    id: str
    status: str
    """`validating_files`, `queued`, `running`, `paused`, then one of `TERMINAL`; hosts may say other words."""
    model: str
    created_at: datetime
    finished_at: datetime | None = None
    fine_tuned_model: str | None = None
    fault: JobFault | None = None
    trained_tokens: int | None = None
    step: int | None = None
    total_steps: int | None = None
    seconds_left: float | None = None
    """An estimate, while it runs."""
    result_files: tuple[str, ...] = ()
    training_file: str | None = None
    validation_file: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    """As many jobs as one request gives."""

    jobs: tuple[JobState, ...]
    more: bool
    """Whether older ones stand behind them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job."""

    id: str
    created_at: datetime
    level: str
    """`info`, `warn` or `error`."""
    message: str
    type: str = "message"
    """`message` or `metrics`."""
    data: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A model as it was at one step of a job."""

    id: str
    name: str
    """What to call."""
    step: int
    created_at: datetime
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to choose the next token; greedy where the temperature is 0."""

    temperature: float = 0.0
    max_tokens: int = 256
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    tools: tuple[Mapping[str, JsonValue], ...] = ()
    """What the model may call, in OpenAI's shape; only for backends that say `takes_tools`."""
    top_logprobs: int | None = None
    """How many of the likeliest tokens are told at each place, 0 for the chosen one alone; None for nothing at all."""


@dataclass(frozen=True, slots=True)
class TopLogprob:
    """A token that might have stood at one place."""

    token: str
    logprob: float
    """The natural logarithm of its probability to the model, before temperature, `top_p` and penalties."""
    utf8: bytes
    """Of which several tokens may make one character; empty where a host does not tell."""


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token that the model wrote, and what else it might have written there, as OpenAI's chat API tells it."""

    token: str
    logprob: float
    utf8: bytes
    top_logprobs: tuple[TopLogprob, ...] = ()
    """The likeliest first; the chosen token is among them if it is one of the likeliest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """What a model wrote."""

    text: str
    """Up to the stop sequence, which is not part of it."""
    finish_reason: Literal["stop", "length", "tool_calls"]
    prompt_tokens: int
    completion_tokens: int
    tool_calls: tuple[ToolCall, ...] = ()
    """What the model wants done; the text is empty where it says nothing besides."""
    logprobs: tuple[TokenLogprob, ...] | None = None
    """Of every token, those of a stop sequence included; None where they were not asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDetails:
    """All that a backend has of a job besides its state."""

    state: JobState
    card: ModelCard
    """With the method and the values that were taken; without a name where no model came of it."""
    suffix: str | None = None
    seed: int | None = None
    told: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """The job as the host tells it, with fields of its own."""


class Backend(Protocol):
    """A place that trains and serves models. It holds credentials and vendor words, and no policy.

    Every method raises only what `finetune_kit.errors` names. `finetune_kit.testing.check_backend` tries a backend.
    """

    @property
    def profile(self) -> HostProfile:
        """The host's limits and models."""
        ...

    @property
    def account(self) -> str | None:
        """Whose files and jobs these are, without a secret in it; what is remembered of one is no use to another.

        None where nothing outlives this object, so that nothing need be remembered.
        """
        ...

    def resolve(self, model: str) -> Resolved:
        """What `model` means here, an alias or an earlier fine-tuned model included; else `UnknownModelError`."""
        ...

    def preflight(self, model: Resolved) -> None:
        """Raise what would stop a job from starting, before anything is uploaded."""
        ...

    def upload(
        self,
        file: SpooledFile,
        *,
        journal: PartJournal | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> FileState:
        """Store a file, and return when it is there, which may be before it is processed.

        `on_progress` is told how many of its bytes have been sent. With `journal`, a host that takes files in parts
        goes on where an earlier attempt broke off. `UnclearOutcomeError` where it may be there or not.
        """
        ...

    def file(self, file_id: str) -> FileState:
        """A stored file now, or `UnknownFileError`."""
        ...

    def files(self) -> list[FileState]:
        """All stored training files, the newest first."""
        ...

    def delete_file(self, file_id: str) -> None:
        """Delete a stored file; `UnknownFileError` where there is none."""
        ...

    def file_content(self, file_id: str) -> bytes:
        """A stored file's bytes."""
        ...

    def start(self, spec: JobSpec) -> JobState:
        """Create a job and return without waiting for it; asked once, whatever happens.

        `UnclearOutcomeError` where it may have been created or not: then `started` tells.
        """
        ...

    def started(self, spec: JobSpec) -> list[JobState]:
        """The jobs there that came of this specification, the oldest first: those that carry its token.

        Where the host keeps no metadata (`profile.keeps_metadata`), all jobs on its files, model and suffix.
        """
        ...

    def job(self, job_id: str) -> JobState:
        """A job now, or `JobNotFoundError`."""
        ...

    def jobs(self) -> list[JobState]:
        """All jobs, the newest first."""
        ...

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        """A job's events, the oldest first, from behind the event with the id `after`; all where that is gone."""
        ...

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """A job's checkpoints, the oldest first."""
        ...

    def cancel(self, job_id: str) -> JobState:
        """Ask a job to stop; it ends as cancelled soon after, or is finished already."""
        ...

    def pause(self, job_id: str) -> JobState:
        """Ask a job to stop for now."""
        ...

    def resume(self, job_id: str) -> JobState:
        """Queue a paused job again."""
        ...

    def card(self, model: str) -> ModelCard:
        """A model's card, or `UnknownModelError`."""
        ...

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """Go on from each prompt, which is taken as it is."""
        ...

    def chat(self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling) -> list[Generation]:
        """Answer each conversation."""
        ...

    def rank(self, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[list[float]]:
        """For each prompt, how probable each of `completions` is among them; each list sums to 1."""
        ...

    def rank_chat(self, model: str, conversations: Sequence[ChatMessages], answers: Sequence[str]) -> list[list[float]]:
        """The same for an assistant's answers to conversations."""
        ...


@runtime_checkable
class CountsTokens(Protocol):
    """What a backend may offer besides: the tokens of its own models, where no published vocabulary has them."""

    def example_tokens(self, model: str) -> ExampleTokens:
        """Counts examples as this model sees them; nothing is fetched for it.

        `MissingExtraError` or `WeightsError` where what it takes is not on this machine.
        """
        ...


@runtime_checkable
class AnswersAsync(Protocol):
    """What a backend may offer besides: answers of its models without a thread for each that waits."""

    async def complete_async(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """`complete` without blocking the event loop."""
        ...

    async def chat_async(
        self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling
    ) -> list[Generation]:
        """`chat` without blocking the event loop."""
        ...


@runtime_checkable
class Streams(Protocol):
    """What a backend may offer besides: answers piece by piece as they are written, up to the stop sequence."""

    def stream(self, model: str, prompt: str, sampling: Sampling) -> Iterator[str]:
        """The completion of one prompt; whoever stops reading ends it."""
        ...

    def stream_chat(self, model: str, messages: ChatMessages, sampling: Sampling) -> Iterator[str]:
        """The answer to one conversation."""
        ...


@runtime_checkable
class StreamsAsync(Protocol):
    """The same without a thread for each answer."""

    def stream_async(self, model: str, prompt: str, sampling: Sampling) -> AsyncIterator[str]:
        """The completion of one prompt; whoever stops reading, and closes it, ends it."""
        ...

    def stream_chat_async(self, model: str, messages: ChatMessages, sampling: Sampling) -> AsyncIterator[str]:
        """The answer to one conversation."""
        ...


@runtime_checkable
class TakesTools(Protocol):
    """What a backend may offer besides: models that call the tools in `Sampling.tools`.

    A stream of theirs that calls tools ends with a `CallingPiece`.
    """

    @property
    def takes_tools(self) -> bool:
        """Whether it does."""
        ...


@runtime_checkable
class TellsLogprobs(Protocol):
    """What a backend may offer besides: answers with the log-probabilities that `Sampling.top_logprobs` asks for."""

    @property
    def most_logprobs(self) -> int:
        """Of how many tokens at each place it tells them at most."""
        ...


@runtime_checkable
class ListsJobs(Protocol):
    """What a backend may offer besides: its jobs page by page, so that one request tells of many that are followed."""

    def job_page(self, *, after: str | None = None, limit: int = 100) -> JobPage:
        """At most `limit` jobs, the newest first, from behind the job with the id `after`; asks the host once."""
        ...


@runtime_checkable
class FindsOrders(Protocol):
    """What a backend may offer besides: jobs by what was ordered, for whoever has lost the papers about them."""

    def ordered(self, order: str) -> list[JobState]:
        """The live jobs that carry `JobSpec.order`, the oldest first; asks the host once, or not if it keeps none."""
        ...


@runtime_checkable
class StreamsFiles(Protocol):
    """What a backend may offer besides: stored files of any size, without having one in memory."""

    def file_pieces(self, file_id: str) -> Iterator[bytes]:
        """A stored file's bytes piece by piece, asked once; an error that comes on the way makes all of them void."""
        ...


@runtime_checkable
class TellsTime(Protocol):
    """What a backend may offer besides: the host's clock, which may differ from this machine's."""

    def host_time(self) -> datetime | None:
        """What the host's clock shows now, after the answers it gave so far; None where they did not tell."""
        ...


@runtime_checkable
class DetailsJobs(Protocol):
    """What a backend may offer besides: everything about a job in one answer, for whoever keeps it elsewhere."""

    def job_details(self, job_id: str) -> JobDetails:
        """A job now with its card, or `JobNotFoundError`; nothing is remembered of it."""
        ...


@runtime_checkable
class Exports(Protocol):
    """What a backend may offer besides: its models as files for other programs."""

    def export(
        self,
        model: str,
        path: str | os.PathLike[str],
        *,
        format: ExportFormat | None = None,  # noqa: A002 - the field's word
        dtype: ExportDtype | None = None,
    ) -> Path:
        """Write a model, whole or not at all, and return where."""
        ...


@runtime_checkable
class TellsShutdowns(Protocol):
    """What a backend may offer besides: until when its models answer, by the host's own list."""

    def shutdown_dates(self) -> Mapping[str, date | None]:
        """The first day on which each listed model does not answer any more; None where the host names no day."""
        ...
