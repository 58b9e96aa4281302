"""Together's own jobs, `/v1/fine-tunes`, told in the words of OpenAI's API.

After Together's OpenAPI description and its package `together` 3.1.1 of November 2026. Not run against the host itself
yet; not confirmed are the order of its lists, whether a job tells why it failed, and by which name a checkpoint that is
not the last one is called.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from finetune_kit._clock import clock
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import READ_SECONDS, Asker, JsonObject
from finetune_kit.backends.hosted.dialects.measured import STEP, result_file_of
from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.objects import read_event, status_of
from finetune_kit.backends.hosted.objects.values import (
    UNKNOWN_MOMENT,
    Members,
    count,
    items,
    members,
    moment,
    number,
    text,
)
from finetune_kit.backends.protocol import TERMINAL, Checkpoint, Event, JobPage, JobSpec, JobState
from finetune_kit.errors import ModelClosedError
from finetune_kit.hosts import Resolved
from finetune_kit.records import JsonValue

_STEP_COLUMNS = ("train/global_step", "global_step", "step")
_OLD = "legacy_i"
"""Before the levels of old events."""


def check_together(asker: Asker, model: Resolved) -> None:
    """Ask for the model's limits, which proves the key too; a model that cannot be trained has a message instead."""
    ask = Ask(
        path="/fine-tunes/models/limits",
        what=f"the limits of {model.model!r} cannot be read",
        subject="model",
        name=model.model,
        query={"model_name": model.model},
        timeout_seconds=READ_SECONDS,
    )
    if model.base:  # limits are told of bases alone
        asker.read(Ask(path="/fine-tunes", what="the jobs cannot be listed", timeout_seconds=READ_SECONDS))
        return
    reason = text(asker.read(ask).get("message"))
    if reason is not None:
        raise ModelClosedError(f"the host says that {model.model!r} cannot be fine-tuned: {reason}", model=model.model)


@dataclass(frozen=True, slots=True)
class TogetherJobs(Jobs):
    """The jobs of one account at Together."""

    @property
    def root(self) -> str:
        """Where the jobs are."""
        return "/fine-tunes"

    def body(self, spec: JobSpec) -> dict[str, JsonValue]:
        """What creates a job; the host has no values of its own for what is left out, and refuses or takes zeros."""
        profile, chosen = self.asker.host.profile, spec.hyperparameters
        body: dict[str, JsonValue] = {
            **profile.extra_hyperparameters,
            "training_file": spec.training_file,
            "from_checkpoint" if spec.model.base else "model": spec.model.model,
            "n_epochs": chosen.n_epochs,
            "training_method": _method(spec, profile.method_words.get(spec.method, spec.method)),
            "random_seed": spec.seed % (profile.max_seed + 1),
            "suffix": _suffix(spec),
        }
        if chosen.batch_size is not None:
            body["batch_size"] = chosen.batch_size
        if chosen.learning_rate_multiplier is not None:
            body["learning_rate"] = chosen.learning_rate_multiplier
        if spec.validation_file is not None:
            body |= {"validation_file": spec.validation_file, **profile.validation_body}
        return {**body, **profile.extra_body}

    def retold(self, job: JsonValue) -> JsonObject:
        """A job in the words of OpenAI's API; its model's name stands there before there is a model."""
        found = members(job)
        status = status_of(found, self.asker.host.profile)
        job_id = text(found.get("id")) or text(found.get("job_id"))
        told: JsonObject = {
            **found,
            "id": job_id,
            "model": found.get("model") or found.get("from_checkpoint"),
            "hyperparameters": {
                "n_epochs": found.get("n_epochs"),
                "batch_size": found.get("batch_size"),
                "learning_rate_multiplier": found.get("learning_rate"),
            },
            "trained_tokens": found.get("token_count"),
            "trained_steps": found.get("steps_completed"),
        }
        if status in TERMINAL:
            told["finished_at"] = found.get("updated_at")
        else:
            told["estimated_finish"] = _finish(members(found.get("progress")))
        if status == "succeeded":
            told["fine_tuned_model"] = found.get("model_output_name")
            told["result_files"] = [] if job_id is None else [result_file_of(job_id)]
        told["error"] = _fault(found) if status == "failed" else None
        return told

    def alike(self, job: JsonObject, state: JobState, spec: JobSpec) -> bool:
        """Whether a job may have come of a specification: by its files, model and suffix, and by its settings."""
        if text(job.get("suffix")) not in {None, _suffix(spec)} or state.training_file != spec.training_file:
            return False
        models = {state.model, text(job.get("from_checkpoint"))}
        if spec.model.model not in models or state.validation_file != spec.validation_file:
            return False
        asked = self.body(spec)
        keys = ("n_epochs", "batch_size", "learning_rate", "random_seed")
        return all(_same(asked.get(key), job.get(key)) for key in keys)

    def page(self, *, after: str | None, limit: int) -> JobPage:  # noqa: ARG002 - the host has no pages
        """All jobs at once, from behind one of them."""
        states = self.states()
        behind = next((place for place, state in enumerate(states, 1) if state.id == after), 0)
        return JobPage(jobs=tuple(states[behind:]), more=False)

    def events(self, job_id: str, *, after: str | None) -> list[Event]:
        """A job's events behind one of them, the oldest first; the host gives all at once."""
        answer = self.asker.read(self.ask(job_id, "events", what="has events that cannot be read"))
        known: dict[str, Event] = {}
        for told in items(answer.get("data")):
            event = read_event(_retold_event(told))
            if event is not None:
                known.setdefault(event.id, event)
        found = sorted(known.values(), key=lambda event: event.created_at)  # stable: ties stay as the host has them
        seen = next((place for place, event in enumerate(found, 1) if event.id == after), 0)
        return found[seen:]

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """A job's checkpoints, the oldest first; the last one is the model itself."""
        answer = self.asker.read(self.ask(job_id, "checkpoints", what="has checkpoints that cannot be read"))
        told = sorted(map(members, items(answer.get("data"))), key=lambda one: count(one.get("step")) or 0)
        if not told:
            return []
        model = text(self.get(job_id).get("fine_tuned_model"))
        return [_checkpoint(one, job_id, model, last=one is told[-1]) for one in told]

    def measured(self, job_id: str) -> list[Mapping[str, float]]:
        """What the host measured, step by step, in its own words."""
        answer = self.asker.read(self.ask(job_id, "metrics", what="has measurements that cannot be read"))
        found: list[Mapping[str, float]] = []
        for row in map(members, items(answer.get("metrics"))):
            step = next((step for key in _STEP_COLUMNS if (step := count(row.get(key))) is not None), None)
            if step is not None:
                numbers = {key: value for key, one in row.items() if (value := number(one)) is not None}
                found.append({STEP: step, **{key: numbers[key] for key in numbers if key not in _STEP_COLUMNS}})
        return found


def _method(spec: JobSpec, word: str) -> JsonValue:
    if spec.method == "dpo":
        beta = spec.hyperparameters.beta
        return {"method": word, **({} if beta is None else {"dpo_beta": beta})}
    return {"method": word, "train_on_inputs": "auto"}  # on the answers, unless a message says otherwise


def _suffix(spec: JobSpec) -> str:
    """The user's own; without one, a piece of the token, by which the job is known if its answer is lost."""
    return spec.suffix if spec.suffix is not None else f"ftk-{spec.token[:12]}"


def _same(asked: JsonValue, told: JsonValue) -> bool:
    """Whether two numbers are one, as far as both are numbers: "max" becomes one later, and old jobs lack some."""
    one, other = number(asked), number(told)
    return one is None or other is None or abs(one - other) <= 1e-6 * abs(one)


def _finish(progress: Members) -> JsonValue:
    seconds = number(progress.get("seconds_remaining"))
    if progress.get("estimate_available") is not True or seconds is None or not 0 <= seconds < 1e9:
        return None
    return (datetime.fromtimestamp(clock().now(), UTC) + timedelta(seconds=seconds)).isoformat()


def _fault(found: Members) -> JsonValue:
    """What the host says, else the last event that tells of an error."""
    told = found.get("error") or found.get("error_message")
    if told:
        return told
    events = [members(one) for one in items(found.get("events"))]
    words = [text(one.get("message"), limit=2000) for one in events if _level(one) == "error"]
    code = text(found.get("status")) or "error"
    return {"code": code, "message": next(filter(None, reversed(words)), None)}


def _level(event: Members) -> str:
    return (text(event.get("level"), limit=40) or "info").casefold().removeprefix(_OLD)


def _retold_event(told: JsonValue) -> JsonValue:
    event = members(told)
    if not event:
        return told
    more = {key: value for key, value in event.items() if key not in {"object", "created_at", "message", "level"}}
    fingerprint = text(event.get("hash"))
    kept: JsonObject = {key: value for key, value in event.items() if key not in {"type", "hash"}}
    return {
        **kept,
        **({} if fingerprint is None else {"id": fingerprint}),
        "level": _level(event),
        "data": {key: value for key, value in more.items() if value is not None and key != "hash"},
    }


def _checkpoint(told: Members, job_id: str, model: str | None, *, last: bool) -> Checkpoint:
    step = count(told.get("step")) or 0
    name = text(told.get("object_name")) or f"{model or job_id}:{step}"
    return Checkpoint(
        id=text(told.get("object_id")) or f"{job_id}:{step}",
        name=model if last and model is not None else name,
        step=step,
        created_at=moment(told.get("created_at")) or UNKNOWN_MOMENT,
        metrics={},
    )
