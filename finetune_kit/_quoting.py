"""The data's own words inside a message, and its numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping

_LIMIT = 40
_LONGEST = 80


def quoted(text: str) -> str:
    """The text in quotes, shortened, with nothing in it that a terminal would obey."""
    return repr(text if len(text) <= _LIMIT else text[: _LIMIT - 1] + "…")


def shown(value: object) -> str:
    """Any value that somebody passed, as Python writes it, shortened; never an error of its own."""
    if isinstance(value, str):
        return quoted(value)
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - anybody's `__repr__`, and whole numbers of more than 4,300 digits
        return f"a very long {type(value).__name__}" if isinstance(value, int) else f"a {type(value).__name__}"
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def described(value: object) -> str:
    """What a value of the wrong type is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"a number ({literal(value)})"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def literal(value: float) -> str:
    """A number or truth value as JSON writes it, shortened."""
    try:
        return json.dumps(value)[:40]
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "very long"


def counted(times: int, noun: str) -> str:
    """A number with its noun, such as "1 row" and "2,000 rows"."""
    return f"{times:,} {noun}{'' if times == 1 else 's'}"
