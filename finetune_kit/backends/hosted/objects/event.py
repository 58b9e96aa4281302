"""An event of a job as a host sends it."""

from __future__ import annotations

import json
from hashlib import sha256

from finetune_kit.backends.hosted.objects.values import UNKNOWN_MOMENT, members, moment, text
from finetune_kit.backends.hosted.texts import told
from finetune_kit.backends.protocol import Event
from finetune_kit.records import JsonValue

_LEVELS = {"warning": "warn"}


def read_event(value: JsonValue) -> Event | None:
    """An event, or None for what is no object; one without an id gets one from what it says."""
    if not isinstance(value, dict):
        return None
    level = (text(value.get("level"), limit=20) or "info").casefold()
    message = value.get("message")
    return Event(
        id=text(value.get("id")) or f"event-{_digest(value)}",
        created_at=moment(value.get("created_at")) or UNKNOWN_MOMENT,
        level=_LEVELS.get(level, level),
        message=told(message, limit=4000) if isinstance(message, str) else "",
        type=text(value.get("type"), limit=60) or "message",
        data=dict(members(value.get("data"))),
    )


def _digest(value: JsonValue) -> str:
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]
