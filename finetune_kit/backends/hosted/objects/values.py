"""One value of a host's JSON as the type it should have, or nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeAlias, cast

from finetune_kit.backends.hosted.texts import plain
from finetune_kit.errors import HostReplyError
from finetune_kit.records import JsonValue

Members: TypeAlias = Mapping[str, JsonValue]

UNKNOWN_MOMENT = datetime.fromtimestamp(0, UTC)
"""Stands for a time that the host does not tell, or tells as nonsense."""

_MILLISECONDS_FROM = 100_000_000_000  # as seconds, that is the year 5138
_ID_CHARACTERS = 512


def members(value: JsonValue) -> Members:
    """An object's members; none where it is no object."""
    return value if isinstance(value, dict) else {}


def items(value: JsonValue) -> Sequence[JsonValue]:
    """A list's items; none where it is no list."""
    return value if isinstance(value, list) else ()


def first(value: JsonValue) -> JsonValue:
    """A list's first item; null where there is none."""
    found = items(value)
    return found[0] if found else None


def text(value: JsonValue, *, limit: int = _ID_CHARACTERS) -> str | None:
    """A text that is not empty, on one line, without control characters."""
    return (plain(value, limit=limit) or None) if isinstance(value, str) else None


def number(value: JsonValue) -> float | None:
    """A finite number; digits in quotes are one too."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def count(value: JsonValue) -> int | None:
    """A whole number from 0 on; hosts write -1 for "not yet decided"."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 1 << 63 else None
    found = number(value)
    return int(found) if found is not None and 0 <= found < 1 << 63 and found == int(found) else None


def moment(value: JsonValue) -> datetime | None:
    """A time, given as seconds or milliseconds since 1970 or as ISO 8601; always in UTC."""
    seconds = number(value)
    try:
        if seconds is not None:
            return datetime.fromtimestamp(seconds / (1000 if abs(seconds) >= _MILLISECONDS_FROM else 1), UTC)
        told = datetime.fromisoformat(value) if isinstance(value, str) else None
        return None if told is None else (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None


def texts_of(value: JsonValue) -> dict[str, str]:
    """An object's members that are texts."""
    return {key: one for key, one in members(value).items() if isinstance(one, str)}


def object_with_id(value: JsonValue, what: str) -> tuple[Members, str]:
    """The members of an object that has an id, and the id; else `HostReplyError`."""
    found = members(value)
    name = found.get("id")
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name or plain(name, limit=_ID_CHARACTERS) != name:
        kind = type(cast("object", value)).__name__
        shown = f"an object with the members {', '.join(map(repr, sorted(found)[:8]))}" if found else f"a {kind}"
        raise HostReplyError(
            f"the host's answer is no {what}: it has no usable 'id', and is {plain(shown, limit=300)}."
        )
    return found, name
