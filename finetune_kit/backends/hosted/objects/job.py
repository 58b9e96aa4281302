"""A fine-tuning job as a host sends it."""

from __future__ import annotations

from typing import cast, get_args

from finetune_kit._clock import clock
from finetune_kit.backends.hosted.objects.values import (
    UNKNOWN_MOMENT,
    Members,
    count,
    items,
    members,
    moment,
    number,
    object_with_id,
    text,
    texts_of,
)
from finetune_kit.backends.hosted.texts import told
from finetune_kit.backends.protocol import TERMINAL, JobFault, JobState
from finetune_kit.cards import Hyperparameters
from finetune_kit.hosts import HostProfile, Method
from finetune_kit.records import JsonValue

UNTOLD_STATUS = "unknown"
"""Of a job that comes without a status; a live one, as every word that nobody knows."""
_SPELLINGS = {"canceled": "cancelled"}


def read_job(value: JsonValue, profile: HostProfile) -> JobState:
    """A job's state; `HostReplyError` where it has no id, everything else may be missing."""
    job, job_id = object_with_id(value, "fine-tuning job")
    status = status_of(job, profile)
    return JobState(
        id=job_id,
        status=status,
        model=text(job.get("model")) or "",
        created_at=moment(job.get("created_at")) or UNKNOWN_MOMENT,
        finished_at=moment(job.get("finished_at")),
        fine_tuned_model=text(job.get("fine_tuned_model")),
        fault=_fault(job.get("error")),
        trained_tokens=count(job.get("trained_tokens")),
        step=count(job.get("trained_steps")),
        total_steps=count(job.get("total_steps")),
        seconds_left=None if status in TERMINAL else _seconds_left(job.get("estimated_finish")),
        result_files=_file_ids(job.get("result_files")),
        training_file=_file_id(job.get("training_file")),
        validation_file=_file_id(job.get("validation_file")),
        metadata=texts_of(job.get("metadata")),
    )


def suffix_of(value: JsonValue) -> str | None:
    """The suffix that was asked for, where the host tells: OpenAI and Azure have a word of their own for it."""
    job = members(value)
    return text(job.get("user_provided_suffix")) or text(job.get("suffix"))


def decided_hyperparameters(value: JsonValue) -> dict[str, float]:
    """The values that the host trains with; those still "auto", or -1, are not among them."""
    job = members(value)
    method = members(job.get("method"))
    named: Members = {}
    for kind in (text(method.get("type")) or "", "supervised", "dpo", "reinforcement"):
        named = named or members(members(method.get(kind)).get("hyperparameters"))
    found: dict[str, float] = {}
    for source in (members(job.get("hyperparameters")), named):
        for key in Hyperparameters.model_fields:
            whole = key in {"n_epochs", "batch_size"}
            value_of = count(source.get(key)) if whole else number(source.get(key))
            if value_of is not None and (value_of > 0 or (key == "prompt_loss_weight" and value_of == 0)):
                found[key] = value_of
    return found


def method_of(value: JsonValue) -> Method | None:
    """How it trains, where the host tells in a word of ours."""
    word = text(members(members(value).get("method")).get("type"))
    return cast("Method", word) if word in get_args(Method) else None


def seed_of(value: JsonValue) -> int | None:
    """The seed that it trains with, where the host tells."""
    return count(members(value).get("seed"))


def status_of(job: Members, profile: HostProfile) -> str:
    """A job's status in our words, as far as the host's profile translates it."""
    told_word = text(job.get("status"), limit=60)
    if told_word is None:
        return UNTOLD_STATUS
    words = {ours.casefold(): theirs for ours, theirs in profile.status_words.items()}
    word = told_word.casefold()
    return words.get(word) or _SPELLINGS.get(word, word)


def _fault(value: JsonValue) -> JobFault | None:
    """Healthy jobs come with an empty object."""
    if isinstance(value, str) and value.strip():
        return JobFault(code="error", message=told(value, limit=2000))
    error = members(value)
    code, message = text(error.get("code")), error.get("message")
    reason = told(message, limit=2000) if isinstance(message, str) else ""
    if not code and not reason:
        return None
    return JobFault(code=code or "error", message=reason or f"the host gives no reason but {code!r}")


def _seconds_left(value: JsonValue) -> float | None:
    finish = moment(value)
    return None if finish is None else max(0.0, finish.timestamp() - clock().now())


def _file_id(value: JsonValue) -> str | None:
    """In 2023 files were whole objects."""
    return text(members(value).get("id")) if isinstance(value, dict) else text(value)


def _file_ids(value: JsonValue) -> tuple[str, ...]:
    return tuple(found for one in items(value) if (found := _file_id(one)) is not None)
