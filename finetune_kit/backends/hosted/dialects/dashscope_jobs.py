"""Alibaba's own jobs at DashScope (Model Studio, 百炼), `/api/v1/fine-tunes`, told in the words of OpenAI's API.

After Alibaba's pages about its fine-tuning API, in Chinese of February and in English of June 2026. Not run against the
host itself yet; not confirmed are the time zone of its times (taken for Beijing's), the words of its logs, whether it
keeps the name that a job is given, and at which steps it writes what it measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Literal

from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import READ_SECONDS, Asker, JsonObject
from finetune_kit.backends.hosted.dialects.dashscope_logs import Cursor, events_of, measured_in
from finetune_kit.backends.hosted.dialects.measured import result_file_of
from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.mapping import odd
from finetune_kit.backends.hosted.objects import read_job, status_of
from finetune_kit.backends.hosted.objects.values import (
    UNKNOWN_MOMENT,
    Members,
    count,
    first,
    items,
    members,
    moment,
    number,
    text,
)
from finetune_kit.backends.protocol import TERMINAL, Checkpoint, Event, JobPage, JobSpec, JobState
from finetune_kit.errors import RequestRefusedError
from finetune_kit.hosts import Resolved
from finetune_kit.records import JsonValue

_PAGE = 100
_LINES = 1000
_MOST_PAGES = 1000
_NAME = "ftk-"
_BEIJING = timezone(timedelta(hours=8))


def check_dashscope(asker: Asker, model: Resolved) -> None:
    """Prove the key; which models it may train, the host says only when a job is started."""
    del model
    DashScopeJobs(asker).some(page_no=1, page_size=1)


@dataclass(frozen=True, slots=True)
class DashScopeJobs(Jobs):
    """The jobs of one account at DashScope."""

    @property
    def root(self) -> str:
        """Where the jobs are, as a whole address: not below that of files and models."""
        profile = self.asker.host.profile
        address = str(self.asker.client.base_url).rstrip("/")
        return f"{address.removesuffix(profile.api_path)}{profile.jobs_path}/fine-tunes"

    def body(self, spec: JobSpec) -> dict[str, JsonValue]:
        """What creates a job; the host wants some hyperparameters in any case, since they decide what it costs."""
        profile, chosen = self.asker.host.profile, spec.hyperparameters
        hyperparameters: dict[str, JsonValue] = {**profile.extra_hyperparameters, "n_epochs": chosen.n_epochs}
        if chosen.batch_size is not None:
            hyperparameters["batch_size"] = chosen.batch_size
        if chosen.learning_rate_multiplier is not None:
            hyperparameters["learning_rate"] = f"{chosen.learning_rate_multiplier:g}"  # a text, in its examples
        body: dict[str, JsonValue] = {
            "model": spec.model.model,
            "training_file_ids": [spec.training_file],
            "hyper_parameters": hyperparameters,
            "training_type": profile.method_words.get(spec.method, spec.method),
            "job_name": _NAME + spec.token,
        }
        if spec.validation_file is not None:
            body |= {"validation_file_ids": [spec.validation_file], **profile.validation_body}
        if spec.suffix is not None:
            body["finetuned_output_suffix"] = spec.suffix
        return {**body, **profile.extra_body}

    def retold(self, job: JsonValue) -> JsonObject:
        """A job in the words of OpenAI's API; its model's name may stand there before there is a model."""
        found = _inner(job)
        status = status_of(found, self.asker.host.profile)
        job_id, settings = text(found.get("job_id")), members(found.get("hyper_parameters"))
        told: JsonObject = {
            **found,
            "id": job_id,
            "created_at": _time(found.get("create_time") or found.get("gmt_create")),
            "training_file": _file(found, "training"),
            "validation_file": _file(found, "validation"),
            "trained_tokens": found.get("usage"),
            "hyperparameters": {
                "n_epochs": settings.get("n_epochs"),
                "batch_size": settings.get("batch_size"),
                "learning_rate_multiplier": settings.get("learning_rate"),
            },
            "error": _fault(found) if status == "failed" else None,
        }
        if status in TERMINAL:
            told["finished_at"] = _time(found.get("end_time"))
        if status == "succeeded":
            told["fine_tuned_model"] = found.get("finetuned_output")
            told["result_files"] = [] if job_id is None else [result_file_of(job_id)]
        return told

    def alike(self, job: JsonObject, state: JobState, spec: JobSpec) -> bool:
        """Whether a job may have come of a specification: by its name, and where it has none of ours, by the rest."""
        name = text(job.get("job_name")) or ""
        if name.startswith(_NAME):
            return name == _NAME + spec.token
        files = (state.training_file, state.validation_file)
        if files != (spec.training_file, spec.validation_file) or state.model != spec.model.model:
            return False
        output = text(job.get("finetuned_output"))
        if spec.suffix is not None and output is not None and f"-{spec.suffix}-" not in output:
            return False
        asked, told = members(self.body(spec).get("hyper_parameters")), members(job.get("hyper_parameters"))
        return all(_same(value, told.get(key)) for key, value in asked.items())

    def listed(self, query: Mapping[str, JsonValue] | None = None) -> list[JsonObject]:
        """All jobs in the words of OpenAI's API, page by page; what moves from one page to the next comes once."""
        found: dict[str, JsonObject] = {}
        for page_no in range(1, _MOST_PAGES):
            output = self.some(page_no=page_no, page_size=_PAGE, more=query)
            jobs = [self.retold(job) for job in items(output.get("jobs"))]
            for place, job in enumerate(jobs):
                found.setdefault(text(job.get("id")) or f"{page_no}/{place}", job)
            total = count(output.get("total"))
            if not jobs or (len(jobs) < _PAGE if total is None else page_no * _PAGE >= total):
                break
        return list(found.values())

    def some(self, *, page_no: int, page_size: int, more: Mapping[str, JsonValue] | None = None) -> Members:
        """One page of jobs as the host sends it."""
        query: dict[str, JsonValue] = {**(more or {}), "page_no": page_no, "page_size": page_size}
        ask = Ask(path=self.root, what="the jobs cannot be listed", query=query, timeout_seconds=READ_SECONDS)
        output = _inner(self.asker.read(ask))
        if not isinstance(output.get("jobs"), list):
            raise odd("answered with no list: it has no 'jobs'", ask, self.asker.host)
        return output

    def page(self, *, after: str | None, limit: int) -> JobPage:  # noqa: ARG002 - its pages have numbers, no cursors
        """All jobs at once, from behind one of them."""
        states = self.states()
        behind = next((place for place, state in enumerate(states, 1) if state.id == after), 0)
        return JobPage(jobs=tuple(states[behind:]), more=False)

    def events(self, job_id: str, *, after: str | None) -> list[Event]:
        """The lines of a job's log behind one of them; the host has no other events."""
        cursor = Cursor.of(after, job_id)
        if cursor is None:
            created = moment(self.get(job_id).get("created_at")) or UNKNOWN_MOMENT
            cursor = Cursor(job_id, 0, int(created.timestamp()))
        return events_of(self._log(job_id, cursor.line), cursor, _BEIJING)

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """Those that are published, the oldest first: the last one is, and others by the console or its own call."""
        answer = self.asker.read(self.ask(job_id, "checkpoints", what="has checkpoints that cannot be read"))
        told = answer.get("output") or answer.get("data")
        listed = items(told) or items(members(told).get("checkpoints"))
        found = [_checkpoint(members(one), job_id) for one in listed]
        return sorted((one for one in found if one is not None), key=lambda one: (one.step, one.created_at))

    def tell(self, job_id: str, word: Literal["cancel", "pause", "resume"]) -> JobState:
        """Ask a job to change; the host answers that it heard, not how the job is now."""
        if word != "cancel":
            return Jobs.tell(self, job_id, word)
        try:
            self.asker.object(self.ask(job_id, word, what=f"cannot be told to {word}", method="POST"))
        except RequestRefusedError:
            state = self.state(job_id)
            if state.finished:
                return state
            raise
        return self.state(job_id)

    def measured(self, job_id: str) -> list[Mapping[str, float]]:
        """What the log tells of the training, step by step."""
        job = self.get(job_id)
        read_job(job, self.asker.host.profile)
        every = count(members(job.get("hyper_parameters")).get("logging_steps"))
        return measured_in(self._log(job_id, 0), steps_between=every)

    def _log(self, job_id: str, line: int) -> list[JsonValue]:
        """The lines from one on."""
        found: list[JsonValue] = []
        for _ in range(_MOST_PAGES):
            ask = self.ask(job_id, "logs", what="has a log that cannot be read")
            query: dict[str, JsonValue] = {"offset": line + len(found), "line": _LINES}
            answer = _inner(self.asker.read(_with(ask, query)))
            lines = items(answer.get("logs"))
            found += lines
            if len(lines) < _LINES:
                break
        return found


def _with(ask: Ask, query: Mapping[str, JsonValue]) -> Ask:
    return Ask(
        path=ask.path,
        what=ask.what,
        subject=ask.subject,
        name=ask.name,
        query=query,
        timeout_seconds=ask.timeout_seconds,
    )


def _inner(answer: JsonValue) -> Members:
    """What the host's envelope holds; jobs of a list come without one."""
    found = members(answer)
    return members(found.get("output")) or members(found.get("data")) or found


def _time(value: JsonValue) -> JsonValue:
    """With the zone that the host leaves out."""
    try:
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return value if told is None or told.tzinfo is not None else told.replace(tzinfo=_BEIJING).isoformat()


def _file(found: Members, side: str) -> JsonValue:
    """The one file of a side; new jobs of some models name it in another way."""
    named = first(found.get(f"{side}_file_ids"))
    return named if isinstance(named, str) else members(first(found.get(f"{side}_datasets"))).get("file_id")


def _fault(found: Members) -> JsonValue:
    reason = text(found.get("message"), limit=2000)
    return {
        "code": text(found.get("code")) or "FAILED",
        "message": reason or "the host gives no reason with the job; the job's events, which are its log, may tell",
    }


def _same(asked: JsonValue, told: JsonValue) -> bool:
    """Whether two settings are one, as far as both are numbers."""
    one, other = number(asked), number(told)
    return one is None or other is None or abs(one - other) <= 1e-6 * abs(one)


def _checkpoint(told: Members, job_id: str) -> Checkpoint | None:
    """One that has a model's name can be called by it, once it is deployed."""
    name, label = text(told.get("model_name")), text(told.get("checkpoint")) or ""
    if name is None or (text(told.get("status")) or "").casefold() != "succeeded":
        return None
    step = count(told.get("step"))
    return Checkpoint(
        id=text(told.get("checkpoint_id")) or text(told.get("full_name")) or f"{job_id}-{label}",
        name=name,
        step=(count(label.rpartition("-")[2]) or 0) if step is None else step,
        created_at=moment(_time(told.get("create_time"))) or UNKNOWN_MOMENT,
        metrics={key: value for key, one in members(told.get("metrics")).items() if (value := number(one)) is not None},
    )
