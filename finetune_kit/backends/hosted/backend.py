"""`HostedBackend`: fine-tunes and serves models on OpenAI, Azure, and every host with the same API."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn, Self

from finetune_kit._progress import Progress, print_progress
from finetune_kit._threads import in_thread
from finetune_kit.backends.hosted.answering import Answers
from finetune_kit.backends.hosted.asking import Asker
from finetune_kit.backends.hosted.calls import Call, chats_asked, prompts_asked, with_logprobs
from finetune_kit.backends.hosted.connection import Connection
from finetune_kit.backends.hosted.dialects import Dialect, dialect_of
from finetune_kit.backends.hosted.files import Files
from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.names import resolve
from finetune_kit.backends.hosted.notes import with_note
from finetune_kit.backends.hosted.objects import read_job, seed_of, suffix_of
from finetune_kit.backends.hosted.papers import Papers
from finetune_kit.backends.hosted.preflight import shutdown_dates
from finetune_kit.backends.hosted.ranking import MOST_TOKENS, ranked
from finetune_kit.backends.hosted.streams import streamed, streamed_async
from finetune_kit.backends.protocol import (
    ChatMessages,
    Checkpoint,
    Event,
    FileState,
    Generation,
    JobDetails,
    JobPage,
    JobSpec,
    JobState,
    PartJournal,
    Sampling,
)
from finetune_kit.cards import DataFingerprint, ModelCard
from finetune_kit.hosts import HostProfile, Resolved
from finetune_kit.ledger import Cards, Ledger, Place
from finetune_kit.uploads import SpooledFile

if TYPE_CHECKING:
    from finetune_kit.backends.hosted.clients import AnyClient

_SHOWN_FROM_BYTES = 5_000_000


class HostedBackend:
    """OpenAI, Azure, or any host that speaks the same API, named by `host`; it is asked only when something is needed.

    The key comes from `api_key`, else from the host's environment variable, such as OPENAI_API_KEY. Azure has an
    address for each resource: `base_url`, else AZURE_OPENAI_ENDPOINT; with `api_version` it is spoken to as before
    its `/openai/v1`. `client` is a client of the openai package instead, one for asyncio too, and wins over all of
    these. `hosts` is a file of host profiles of your own; cards of models, which hosts do not keep, lie under `home`.
    `progress` is told how far the upload of a large file has come; by default a terminal shows it.

    >>> HostedBackend(api_key="sk-not-a-real-key").profile.name
    'openai'
    """

    def __init__(
        self,
        api_key: str | None = None,
        base_url: str | None = None,
        host: str = "openai",
        client: AnyClient | None = None,
        *,
        api_version: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        timeout_seconds: float | None = None,
        hosts: str | os.PathLike[str] | None = None,
        home: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._connection = Connection(
            api_key=api_key,
            base_url=base_url,
            host=host,
            given=client,
            api_version=api_version,
            organization=organization,
            project=project,
            timeout_seconds=timeout_seconds,
            hosts=hosts,
        )
        self._home, self._progress = home, progress or print_progress
        self._fingerprints: dict[str, DataFingerprint] = {}

    def __repr__(self) -> str:
        return f"HostedBackend(host={self.profile.name!r}, base_url={self._connection.shown!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a HostedBackend holds an API key and is not pickled: make one in each process.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that this object has opened; a client that was given stays open."""
        self._connection.close()

    async def close_async(self) -> None:
        """The same, with those that were opened in this event loop."""
        await self._connection.close_async()

    @property
    def most_logprobs(self) -> int:
        """Of its chat models; five of models that go on with prompts."""
        return self.profile.top_logprobs

    @property
    def profile(self) -> HostProfile:
        """The host's limits and models."""
        return self._connection.profile

    @property
    def account(self) -> str:
        """Host, address and a fingerprint of the key, organisation and project; none of them can be found from it."""
        return self._connection.account

    @property
    def address(self) -> str:
        """Where the host is asked, without a secret in it."""
        return self._connection.shown

    @property
    def _asker(self) -> Asker:
        return self._connection.asker

    @property
    def _dialect(self) -> Dialect:
        return dialect_of(self.profile)

    @property
    def _files(self) -> Files:
        return self._dialect.files(self._asker)

    @property
    def _jobs(self) -> Jobs:
        return self._dialect.jobs(self._asker)

    @property
    def _answers(self) -> Answers:
        return Answers(self._asker, self._connection.habits)

    @cached_property
    def _ledger(self) -> Ledger:
        return Ledger(self._home)

    @property
    def _papers(self) -> Papers:
        return Papers(self._cards, self._place, self._jobs, self.profile)

    def _cards(self) -> Cards:
        return self._ledger.cards

    def _place(self) -> Place:
        return Place(self.profile.name, self.account, self.address)

    def host_time(self) -> datetime | None:
        """What the host's clock shows now, by the dates of its answers."""
        return self._asker.clock.now()

    def resolve(self, model: str) -> Resolved:
        """What `model` means there, by the host's profile; a fine-tuned model is known by its name."""
        return resolve(model, self.profile)

    def preflight(self, model: Resolved) -> None:
        """Raise what would stop a job: a wrong key, a model that is closed or not to be seen, no free slot."""
        self._dialect.check_before_start(self._asker, model)

    def upload(
        self,
        file: SpooledFile,
        *,
        journal: PartJournal | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> FileState:
        """Send a file as it is read: in one piece, or in parts where the host takes so much only in parts."""
        state = self._files.upload(file, journal=journal, on_progress=self._shown(file, on_progress))
        self._fingerprints[state.id] = DataFingerprint(rows=file.rows, sha256=file.sha256)
        return state

    def _shown(self, file: SpooledFile, on_progress: Callable[[int], None] | None) -> Callable[[int], None] | None:
        """What the sender tells, shown too where it takes a while."""
        if file.size_bytes < _SHOWN_FROM_BYTES:
            return on_progress
        what = f"Sending {file.filename}, {file.size_bytes / 1e6:,.0f} MB"

        def told(sent: int) -> None:
            if on_progress is not None:
                on_progress(sent)
            self._progress(what, sent / file.size_bytes)

        return told

    def file(self, file_id: str) -> FileState:
        """A stored file now."""
        return self._files.state(file_id)

    def files(self) -> list[FileState]:
        """All stored training files, the newest first."""
        return self._files.states()

    def delete_file(self, file_id: str) -> None:
        """Delete a stored file; jobs that have begun keep their copy."""
        self._files.delete(file_id)

    def file_content(self, file_id: str) -> bytes:
        """A stored file's bytes, as the host gives them: result files may be in base64."""
        return self._files.content(file_id)

    def file_pieces(self, file_id: str) -> Iterator[bytes]:
        """The same piece by piece, asked once, so that a file of any size needs little memory."""
        return self._files.pieces(file_id)

    def start(self, spec: JobSpec) -> JobState:
        """Create a job, asked once; `UnclearOutcomeError` where it may be there, and `started` tells."""
        self._papers.keep(spec, self._fingerprints)
        state = read_job(self._jobs.start(spec), self.profile)
        self._papers.began(spec, state.id)
        return state

    def started(self, spec: JobSpec) -> list[JobState]:
        """The jobs that came of a specification, the oldest first."""
        return self._jobs.started(spec)

    def ordered(self, order: str) -> list[JobState]:
        """The live jobs of the same order, the oldest first; none where the host keeps no metadata."""
        return self._jobs.ordered(order)

    def job(self, job_id: str) -> JobState:
        """A job now."""
        return self._connection.habits.saw(self._jobs.state(job_id))

    def jobs(self) -> list[JobState]:
        """All jobs of the account, the newest first."""
        return [self._connection.habits.saw(state) for state in self._jobs.states()]

    def job_page(self, *, after: str | None = None, limit: int = 100) -> JobPage:
        """At most `limit` jobs, the newest first; asks the host once."""
        page = self._jobs.page(after=after, limit=limit)
        for state in page.jobs:
            self._connection.habits.saw(state)
        return page

    def job_details(self, job_id: str) -> JobDetails:
        """A job with its card and all that the host tells of it, asked once; nothing is remembered of it."""
        job = self._jobs.get(job_id)
        return JobDetails(
            state=read_job(job, self.profile),
            card=self._papers.of_told(job),
            suffix=suffix_of(job),
            seed=seed_of(job),
            told=job,
        )

    def shutdown_dates(self) -> Mapping[str, date | None]:
        """Until when the host's models answer, by its own list; nothing where that tells no days."""
        return shutdown_dates(self._asker)

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        """A job's events, the oldest first; the first one says which model stands in for the one asked for."""
        found = self._jobs.events(job_id, after=after)
        return found if after is not None else with_note(found, job_id, self._jobs, self._papers)

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """A job's checkpoints, the oldest first."""
        return self._jobs.checkpoints(job_id)

    def cancel(self, job_id: str) -> JobState:
        """Ask a job to stop."""
        return self._jobs.tell(job_id, "cancel")

    def pause(self, job_id: str) -> JobState:
        """Ask a job to stop for now; not all hosts can."""
        return self._jobs.tell(job_id, "pause")

    def resume(self, job_id: str) -> JobState:
        """Queue a paused job again."""
        return self._jobs.tell(job_id, "resume")

    def card(self, model: str) -> ModelCard:
        """A model's card: from this machine, else from the job's metadata, else what its base suggests.

        The card of a deployment, where a host has such, is that of the model that answers under its name.
        """
        return self._papers.of(model, self._answers)

    def complete(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """Go on from each prompt by the completions API, several at once; models that only chat say so."""
        return self._answers.all(prompts_asked(model, prompts, sampling), Call.read)

    def chat(self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling) -> list[Generation]:
        """Answer each conversation, several at once."""
        return self._answers.all(chats_asked(model, conversations, sampling, self.profile), Call.read)

    async def complete_async(self, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
        """`complete` without blocking the event loop."""
        answers = self._connection.async_answers()
        if answers is None:
            return await asyncio.to_thread(self.complete, model, prompts, sampling)
        return await answers.all(prompts_asked(model, prompts, sampling), Call.read)

    async def chat_async(
        self, model: str, conversations: Sequence[ChatMessages], sampling: Sampling
    ) -> list[Generation]:
        """`chat` without blocking the event loop."""
        answers = self._connection.async_answers()
        if answers is None:
            return await asyncio.to_thread(self.chat, model, conversations, sampling)
        return await answers.all(chats_asked(model, conversations, sampling, self.profile), Call.read)

    def stream(self, model: str, prompt: str, sampling: Sampling) -> Iterator[str]:
        """The completion of a prompt, piece by piece."""
        return streamed(self._answers, Call(model, sampling, prompt=prompt))

    def stream_chat(self, model: str, messages: ChatMessages, sampling: Sampling) -> Iterator[str]:
        """The answer to a conversation, piece by piece."""
        return streamed(self._answers, Call(model, sampling, messages=messages))

    def stream_async(self, model: str, prompt: str, sampling: Sampling) -> AsyncIterator[str]:
        """`stream` without blocking the event loop."""
        return self._streamed_async(Call(model, sampling, prompt=prompt))

    def stream_chat_async(self, model: str, messages: ChatMessages, sampling: Sampling) -> AsyncIterator[str]:
        """`stream_chat` without blocking the event loop."""
        return self._streamed_async(Call(model, sampling, messages=messages))

    async def _streamed_async(self, call: Call) -> AsyncIterator[str]:
        answers = self._connection.async_answers()
        pieces = in_thread(streamed(self._answers, call)) if answers is None else streamed_async(answers, call)
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece

    @property
    def takes_tools(self) -> bool:
        """Its models may be offered tools."""
        return True

    def rank(self, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[list[float]]:
        """For each prompt, how probable each of `completions` is among them, as far as five tokens a place tell.

        One completion is generated for each prompt. `finetune_kit.backends.hosted.ranking.ranked` says how good it is.
        """
        return self._ranked(prompts_asked(model, prompts, Sampling(max_tokens=MOST_TOKENS)), completions)

    def rank_chat(self, model: str, conversations: Sequence[ChatMessages], answers: Sequence[str]) -> list[list[float]]:
        """The same for answers to conversations, as far as twenty tokens a place tell."""
        return self._ranked(chats_asked(model, conversations, Sampling(max_tokens=MOST_TOKENS), self.profile), answers)

    def _ranked(self, calls: Sequence[Call], texts: Sequence[str]) -> list[list[float]]:
        asked = [with_logprobs(call, self.profile) for call in calls]
        return self._answers.all(asked, lambda _, answer: ranked(texts, answer))
