"""Messages by which a host tells that a job has ended: believed only where the signature is right and the time near."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias, cast

import orjson

from finetune_kit._clock import clock
from finetune_kit.errors import ParameterError, WebhookError

ENVIRONMENT_VARIABLE = "OPENAI_WEBHOOK_SECRET"
TOLERANCE_SECONDS = 300.0
MAX_BYTES = 1 << 20
_PREFIX = "whsec_"
_MOST_SIGNATURES = 64
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}")
_EVENT = re.compile(r"fine_tuning\.job\.(succeeded|failed|cancelled)")

End: TypeAlias = Literal["succeeded", "failed", "cancelled"]
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookNotice:
    """What a message says that was signed with the secret; the host is asked for the job's state all the same."""

    delivery_id: str
    """The same where the host delivers the message once more."""
    job_id: str
    event: End
    created_at: datetime


def read_webhook(
    payload: bytes | str,
    headers: Headers,
    *,
    secret: str | Sequence[str] | None = None,
    tolerance_seconds: float = TOLERANCE_SECONDS,
) -> WebhookNotice:
    """The message in a request's body, as it came, and its headers; `WebhookError` where it is not the host's.

    `secret` is what the host showed when the webhook was made, `whsec_...`, by default OPENAI_WEBHOOK_SECRET; several
    while it is changed. A message is good for five minutes; `Deliveries` tells those that come twice.
    """
    keys = _keys(secret)
    body = payload.encode("utf-8", "surrogatepass") if isinstance(payload, str) else bytes(payload)
    if len(body) > MAX_BYTES:
        raise WebhookError(
            f"the message has {len(body):,} bytes, and none that a host sends has more than {MAX_BYTES:,}."
        )
    delivery_id, sent_at, signatures = _signed(headers)
    signed = b".".join((delivery_id.encode("utf-8", "surrogatepass"), sent_at.encode("utf-8", "surrogatepass"), body))
    if not _matches(signed, signatures, keys):
        raise WebhookError("the message's signature is not one made with the webhook's secret.")
    _check_time(sent_at, tolerance_seconds)
    return _notice(delivery_id, body)


class Deliveries:
    """Remembers which messages came, for as long as an old one would be believed; may be used by several threads."""

    def __init__(self, *, tolerance_seconds: float = TOLERANCE_SECONDS) -> None:
        self._kept_seconds = 2 * tolerance_seconds
        self._came: dict[str, float] = {}
        self._lock = threading.Lock()

    def first(self, notice: WebhookNotice) -> bool:
        """Whether this message has not come before, which counts it."""
        now = clock().monotonic()
        with self._lock:
            for old in [one for one, came_at in self._came.items() if now - came_at > self._kept_seconds]:
                del self._came[old]
            new = notice.delivery_id not in self._came
            self._came.setdefault(notice.delivery_id, now)
            return new


def _keys(secret: str | Sequence[str] | None) -> list[bytes]:
    given = secret if secret is not None else os.environ.get(ENVIRONMENT_VARIABLE)
    secrets = [given] if isinstance(given, str) else list(given or ())
    if not secrets or not all(one.strip() for one in secrets):
        raise ParameterError(
            f"there is no secret to check webhooks with. Set {ENVIRONMENT_VARIABLE}, or pass secret=.",
            parameter="secret",
        )
    return [_key(one.strip()) for one in secrets]


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:  # anybody could sign with an empty one; outside of `except`: the cause would show the secret's form
        raise ParameterError(
            "the webhook's secret is damaged: behind 'whsec_' stands no base64. Copy it again.", parameter="secret"
        )
    return key


def _signed(headers: Headers) -> tuple[str, str, list[str]]:
    pairs = cast("Mapping[str, str]", headers).items() if isinstance(headers, Mapping) else headers
    found = {_text(name).lower(): _text(value) for name, value in pairs}
    values: list[str] = []
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        value = found.get(name, "")
        if not value.strip():
            raise WebhookError(f"the message has no header {name!r}: no host has sent it so.")
        values.append(value)
    return values[0], values[1], values[2].split()[:_MOST_SIGNATURES]


def _text(header: object) -> str:
    """Servers of ASGI hand over bytes."""
    if isinstance(header, bytes):
        return header.decode("latin-1")
    return header if isinstance(header, str) else ""


def _matches(signed: bytes, signatures: Sequence[str], keys: Sequence[bytes]) -> bool:
    """Compared in a time that does not tell how much of a signature is right."""
    expected = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()) for key in keys]
    given = [signature.removeprefix("v1,").encode("utf-8", "surrogatepass") for signature in signatures]
    return any([hmac.compare_digest(one, other) for one in expected for other in given])  # noqa: C419 - all of them


def _check_time(sent_at: str, tolerance_seconds: float) -> None:
    if not sent_at.isascii() or not sent_at.isdigit() or len(sent_at) > 15:
        raise WebhookError("the message's time is no number of seconds.")
    ahead = int(sent_at) - clock().now()
    if abs(ahead) > tolerance_seconds:
        raise WebhookError(
            f"the message is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this machine's clock, and may "
            f"be {tolerance_seconds:g} s off. An old one sent again is not believed; else set the clock."
        )


def _notice(delivery_id: str, body: bytes) -> WebhookNotice:
    try:
        told: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise WebhookError(f"the message is signed, but no JSON: {error}.") from error
    match told:
        case {"type": str(kind), "data": {"id": str(job_id)}, "created_at": int(created_at)}:
            event = _EVENT.fullmatch(kind)
            if event is None:
                raise WebhookError(
                    "the message is the host's, but tells of no fine-tuning job. Let this webhook send "
                    "fine_tuning.job.succeeded, .failed and .cancelled only."
                )
            if _JOB_ID.fullmatch(job_id) is None:
                raise WebhookError("the message is signed, but what it names is no job's id.")
            return WebhookNotice(
                delivery_id=delivery_id, job_id=job_id, event=cast("End", event[1]), created_at=_time(created_at)
            )
        case _:
            raise WebhookError("the message is signed, but has not the fields type, created_at and data.id.")


def _time(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise WebhookError("the message is signed, but was created at no time of the calendar.") from error
