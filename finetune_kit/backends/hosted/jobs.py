"""A host's fine-tuning jobs: created, found again, followed and stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeVar

from finetune_kit.backends.hosted.asked import Ask, path_of
from finetune_kit.backends.hosted.asking import READ_SECONDS, Asker, JsonObject
from finetune_kit.backends.hosted.creation import ORDER, TOKEN, body_of
from finetune_kit.backends.hosted.events import events_behind
from finetune_kit.backends.hosted.listing import everything
from finetune_kit.backends.hosted.mapping import odd
from finetune_kit.backends.hosted.objects import read_checkpoint, read_job, suffix_of
from finetune_kit.backends.hosted.objects.values import items, members
from finetune_kit.backends.protocol import Checkpoint, Event, JobPage, JobSpec, JobState
from finetune_kit.errors import BackendError, HostReplyError, JobNotFoundError, RequestRefusedError, UnclearOutcomeError
from finetune_kit.hosts import HostProfile
from finetune_kit.records import JsonValue

_T = TypeVar("_T")
_PAGE = 100
_CREATION_SECONDS = 120.0
"""An answer that takes longer is taken for lost, and the job looked for."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs of one account; a host with an API of its own says the first methods otherwise."""

    asker: Asker

    @property
    def root(self) -> str:
        """Where the jobs are."""
        return "/fine_tuning/jobs"

    def body(self, spec: JobSpec) -> dict[str, JsonValue]:
        """What creates a job."""
        return body_of(spec, self.asker.host.profile)

    def retold(self, job: JsonValue) -> JsonObject:
        """A job in the words of OpenAI's API; what is no object is left for the reader to complain of."""
        return dict(members(job))

    def alike(self, job: JsonObject, state: JobState, spec: JobSpec) -> bool:
        """Whether a job may have come of a specification, as far as the host tells."""
        same_suffix = suffix_of(job) in {None, spec.suffix}
        return same_suffix and (state.training_file, state.model) == (spec.training_file, spec.model.model)

    def listed(self, query: Mapping[str, JsonValue] | None = None) -> list[JsonObject]:
        """All jobs in the words of OpenAI's API, in the host's order."""
        ask = Ask(path=self.root, what="the jobs cannot be listed", query=query, timeout_seconds=READ_SECONDS)
        return [self.retold(job) for job in everything(self.asker, ask) if isinstance(job, dict)]

    def start(self, spec: JobSpec) -> JsonObject:
        """Create a job, asked once whatever happens; the job as the host sends it."""
        profile = self.asker.host.profile
        ask = Ask(
            method="POST",
            path=self.root,
            what=f"a job on {spec.model.model!r} cannot be started",
            body=self.body(spec),
            creates="a job",
            timeout_seconds=_CREATION_SECONDS,
        )
        answer = self.retold(self.asker.object(ask))
        try:
            read_job(answer, profile)
        except HostReplyError as error:
            raise UnclearOutcomeError(f"{ask.what}: {error} Whether a job was created is not known.") from error
        return answer

    def started(self, spec: JobSpec) -> list[JobState]:
        """The jobs that came of a specification, the oldest first."""
        profile = self.asker.host.profile
        if profile.keeps_metadata:
            states = _readable(self.listed({"metadata": {TOKEN: spec.token}}), profile)
            return [state for state in reversed(states) if state.metadata.get(TOKEN) == spec.token]
        found: list[JobState] = []
        for job in reversed(self.listed()):
            with suppress(HostReplyError):
                state = read_job(job, profile)
                found += [state] if self.alike(job, state, spec) else []
        return sorted(found, key=lambda state: state.created_at)

    def ordered(self, order: str) -> list[JobState]:
        """The live jobs that carry an order, the oldest first, as far as one answer tells."""
        profile = self.asker.host.profile
        if not order or not profile.keeps_metadata:
            return []
        query: dict[str, JsonValue] = {"limit": _PAGE, "metadata": {ORDER: order}}
        ask = Ask(path=self.root, what="the jobs cannot be listed", query=query, timeout_seconds=READ_SECONDS)
        found = _readable([self.retold(job) for job in items(self.asker.read(ask).get("data"))], profile)
        live = [state for state in found if state.metadata.get(ORDER) == order and not state.finished]
        return sorted(live, key=lambda state: state.created_at)

    def get(self, job_id: str) -> JsonObject:
        """A job in the words of OpenAI's API, or `JobNotFoundError`."""
        return self.retold(self.asker.read(self.ask(job_id, what="cannot be read")))

    def state(self, job_id: str) -> JobState:
        """A job now."""
        return read_job(self.get(job_id), self.asker.host.profile)

    def all(self) -> list[JsonObject]:
        """All jobs in the words of OpenAI's API, the newest first."""
        return self.listed()

    def states(self) -> list[JobState]:
        """All jobs, the newest first."""
        found = _readable(self.all(), self.asker.host.profile)
        return sorted(found, key=lambda state: state.created_at, reverse=True)  # stable: ties stay as the host has them

    def page(self, *, after: str | None, limit: int) -> JobPage:
        """One page of jobs, asked once."""
        query: dict[str, JsonValue] = {"limit": limit} if after is None else {"limit": limit, "after": after}
        ask = Ask(path=self.root, what="the jobs cannot be listed", query=query, timeout_seconds=READ_SECONDS)
        answer = self.asker.object(ask)
        found = answer.get("data")
        if not isinstance(found, list):
            raise odd("answered with no list: it has no 'data'", ask, self.asker.host)
        states = _readable([self.retold(job) for job in found], self.asker.host.profile)
        more = answer.get("has_more")
        return JobPage(
            jobs=tuple(states), more=bool(states) and (len(found) == limit if more is None else more is True)
        )

    def events(self, job_id: str, *, after: str | None) -> list[Event]:
        """A job's events behind one of them, the oldest first; none where the host has no events."""
        if not self.asker.host.profile.has_events:
            self.get(job_id)
            return []
        ask = self.ask(job_id, "events", what="has events that cannot be read")
        return self._if_any(job_id, lambda: events_behind(self.asker, ask, after))

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """A job's checkpoints, the oldest first."""
        if not self.asker.host.profile.has_checkpoints:
            self.get(job_id)
            return []
        ask = self.ask(job_id, "checkpoints", what="has checkpoints that cannot be read")
        found = [read_checkpoint(one) for one in self._if_any(job_id, lambda: everything(self.asker, ask))]
        return sorted((one for one in found if one is not None), key=lambda one: (one.step, one.created_at))

    def _if_any(self, job_id: str, read: Callable[[], list[_T]]) -> list[_T]:
        """What is read, or nothing where the host has the job and does not know what else is asked for."""
        try:
            return read()
        except JobNotFoundError:
            self.get(job_id)
            return []

    def tell(self, job_id: str, word: Literal["cancel", "pause", "resume"]) -> JobState:
        """Ask a job to change; the host says no to one that has ended, which is its state then."""
        profile = self.asker.host.profile
        if word != "cancel" and not profile.can_pause:
            self.get(job_id)
            raise BackendError(
                f"jobs on {profile.name!r} cannot be paused or resumed. {job_id} goes on; cancel() ends it."
            )
        ask = self.ask(job_id, word, what=f"cannot be told to {word}", method="POST")
        try:
            return read_job(self.retold(self.asker.object(ask)), profile)
        except (RequestRefusedError, HostReplyError):
            state = self.state(job_id)
            if state.finished or (word, state.status) in {("pause", "paused"), ("resume", "running")}:
                return state
            raise

    def ask(self, job_id: str, *more: str, what: str, method: Literal["GET", "POST"] = "GET") -> Ask:
        """A question about one job."""
        path = path_of(job_id, *more)
        if path is None:
            raise JobNotFoundError(f"{job_id!r} is the id of no job.", job_id=job_id)
        return Ask(
            method=method,
            path=self.root + path,
            what=f"the job {job_id!r} {what}",
            subject="job",
            name=job_id,
            timeout_seconds=READ_SECONDS,
        )


def _readable(jobs: Sequence[JsonObject], profile: HostProfile) -> list[JobState]:
    """The jobs of a list; what has no id can neither be asked for nor followed, and hides no other."""
    found: list[JobState] = []
    for job in jobs:
        with suppress(HostReplyError):
            found.append(read_job(job, profile))
    return found
