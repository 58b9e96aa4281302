"""What a host's refusal means: an HTTP status with the host's own words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.texts import told
from finetune_kit.errors import (
    AccessError,
    AuthenticationError,
    FileTooLargeError,
    FinetuneKitError,
    HostReplyError,
    HostUnavailableError,
    JobNotFoundError,
    JobSlotsError,
    ModelClosedError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    TrainingNotAvailableError,
    UnclearOutcomeError,
    UnknownFileError,
)
from finetune_kit.hosts import HostProfile, today


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """What came back instead of an answer."""

    status: int
    code: str = ""
    kind: str = ""
    parameter: str = ""
    message: str = ""
    retry_after_seconds: float | None = None


NOT_OFFERED = "not_offered"
"""The code of a refusal that says that there is no such call at all."""

_CHAT_ONLY = re.compile(r"is a chat model|v1/chat/completions", re.IGNORECASE)
_PLAIN_ONLY = re.compile(r"is not a chat model", re.IGNORECASE)
_CLOSED = {"training_not_available"}
_CLOSED_WORDS = re.compile(r"winding down|no longer able to create", re.IGNORECASE)
_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance", "Arrearage"}
_NO_MODEL = {"model_not_found", "deploymentnotfound", "deployment_not_found", "invalid_model"}
_SLOTS = {"exceeded_active_jobs", "daily_rate_limit_exceeded", "too_many_jobs", "job_limit_exceeded"}
_SLOTS_WORDS = re.compile(
    r"(?:maximum|limit|too many|exceed|reached|only \d+).*"
    r"\b(?:pending|active|queued|running|concurrent|training|fine.?tun\w+)\b"
    r".*\b(?:jobs?|requests?|runs?)\b",
    re.IGNORECASE | re.DOTALL,
)


def refused(refusal: Refusal, ask: Ask, profile: HostProfile, address: str) -> FinetuneKitError:  # noqa: PLR0911
    """Our error for it."""
    status, words = refusal.status, told(refusal.message)
    says = f"{ask.what}: {address} says {words!r} (HTTP {status}{f', {refusal.code}' if refusal.code else ''})"
    if ask.creates and (status in {408, 409} or (status >= 500 and status != 501)):
        return UnclearOutcomeError(
            f"{says}. Whether {ask.creates} was created is not known.", retry_after_seconds=refusal.retry_after_seconds
        )
    if status == 501:
        return RequestRefusedError(f"{says}. This host does not offer it.", code=NOT_OFFERED)
    if status in {408, 425} or status >= 500 or (status == 409 and ask.method == "GET"):
        return HostUnavailableError(f"{says}.", status=status, retry_after_seconds=refusal.retry_after_seconds)
    if status < 400:
        return HostReplyError(f"{says}: it sends the question elsewhere. Check the address.")
    if status == 401:
        return AuthenticationError(f"{says}. {_key_advice(profile)}")
    if status == 402 or refusal.code in _QUOTA or refusal.kind in _QUOTA:
        return QuotaError(f"{says}. Asking again does not help: see the account's billing and limits.")
    if ask.creates == "a job" and (refusal.code in _SLOTS or _SLOTS_WORDS.search(refusal.message)):
        return JobSlotsError(
            f"{says}. Nothing was started: wait for a job to end, or cancel one.",
            retry_after_seconds=refusal.retry_after_seconds,
        )
    if status == 429:
        return RateLimitError(f"{says}.", retry_after_seconds=refusal.retry_after_seconds)
    return _definite(refusal, ask, profile, says)


def _definite(refusal: Refusal, ask: Ask, profile: HostProfile, says: str) -> FinetuneKitError:  # noqa: PLR0911
    status = refusal.status
    if status == 403:
        return _no_access(refusal, says)
    if status == 413 and ask.subject in {"file", "upload"}:
        return FileTooLargeError(f"{says}: the file is larger than it takes.", path=ask.name or None)
    if (wrong := _other_kind(refusal, ask, says)) is not None:
        return wrong
    if refusal.code.casefold() in _NO_MODEL and status in {400, 404, 422}:
        return _no_model(ask.name, profile, says) if ask.subject == "model" else _unknown_model(says, profile)
    if status == 404:
        return _nothing_there(refusal, ask, profile, says)
    if status == 405:
        return RequestRefusedError(f"{says}. This host does not offer it.", code=NOT_OFFERED)
    return RequestRefusedError(f"{says}.", code=refusal.code or None, parameter=refusal.parameter or None)


def _other_kind(refusal: Refusal, ask: Ask, says: str) -> FinetuneKitError | None:
    """A model that is there, and takes the other kind of question."""
    if ask.path == "/completions" and _CHAT_ONLY.search(refusal.message):
        advice = (
            f"{ask.name!r} takes chat messages, not a plain prompt: call chat(), and train on examples with 'messages'"
        )
        return RequestRefusedError(f"{says}. {advice}.", code="chat_model", parameter="model")
    if ask.path == "/chat/completions" and _PLAIN_ONLY.search(refusal.message):
        advice = f"{ask.name!r} takes a plain prompt, not chat messages: call complete()"
        return RequestRefusedError(f"{says}. {advice}.", code="completion_model", parameter="model")
    return None


def _no_access(refusal: Refusal, says: str) -> FinetuneKitError:
    if refusal.code in _CLOSED or _CLOSED_WORDS.search(refusal.message):
        return TrainingNotAvailableError(
            f"{says}. Other hosts still train: HostedBackend(host='azure') or another host with the same API, and the "
            "engine on this machine: train(backend=LocalBackend()). What was uploaded stays.",
            code=refusal.code or "training_not_available",
        )
    return AccessError(
        f"{says}. The key is good, but not for this: check its project, its permissions and the organisation.",
        code=refusal.code or None,
    )


def _nothing_there(refusal: Refusal, ask: Ask, profile: HostProfile, says: str) -> FinetuneKitError:
    if ask.subject == "job":
        return JobNotFoundError(f"{says}.", job_id=ask.name)
    if ask.subject == "file":
        return UnknownFileError(f"{says}.", file_id=ask.name)
    if ask.subject == "model":
        return _no_model(ask.name, profile, says)
    if refusal.parameter in {"training_file", "validation_file"}:
        return UnknownFileError(f"{says}.")
    return RequestRefusedError(
        f"{says}. This address does not offer it: check base_url and the host.", code=NOT_OFFERED
    )


def _no_model(name: str, profile: HostProfile, says: str) -> FinetuneKitError:
    """A model that is not there: because it was shut down, where its day is known, else because nobody knows it."""
    facts = profile.facts_of(name)
    if facts is None or facts.state(today()) != "closed":
        return profile.unknown(name)
    return ModelClosedError(
        f"{says}. It was shut down on {facts.shuts_down}, as all that was trained from its base. Its data can train "
        "another model: job.migrate(to=...), or finetune_kit.migrate(folder, to=...) from an archive.",
        model=name,
    )


def _unknown_model(says: str, profile: HostProfile) -> FinetuneKitError:
    unknown = profile.unknown("")
    return type(unknown)(f"{says}.", known=unknown.known)


def _key_advice(profile: HostProfile) -> str:
    names = " or ".join(profile.keys)
    return f"Set {names}, or pass api_key=." if names else "Pass api_key= with a valid key."
