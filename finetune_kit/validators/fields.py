"""The values in an example by the names of their fields, such as `messages[2].content`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import cast

import orjson

from finetune_kit.records import JsonValue

MASK = "•"
"""Stands for each character of a secret."""

_KEPT_OF_SECRET = 2
_SHORT_SECRET = 12
_STEP = re.compile(r"([^.\[\]]+)|\[(\d{1,9})\]")


def _steps(field: str) -> list[str | int]:
    return [int(number) if number else name for name, number in _STEP.findall(field)]


def _child(value: JsonValue, step: str | int) -> JsonValue:
    if isinstance(value, dict) and isinstance(step, str):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None


def text_at(content: JsonValue, field: str | None) -> str | None:
    """The text at `field`, any other value as JSON; None where there is nothing."""
    steps = _steps(field or "")
    value = content
    for step in steps:
        value = _child(value, step)
    if field is None or not steps or value is None:
        return None
    if isinstance(value, str):
        return value
    if field.endswith(".content") and isinstance(value, list) and (texts := _text_parts(value)):
        return "".join(cast("str", part["text"]) for part in texts)
    return _as_json(value)


def _as_json(value: JsonValue) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # numbers beyond 64 bits
        return repr(value)


def _text_parts(parts: Sequence[JsonValue]) -> list[dict[str, JsonValue]]:
    dicts = [part for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return [part for part in dicts if isinstance(part.get("text"), str)]


def mask(content: JsonValue, field: str, span: tuple[int, int] | None) -> bool:
    """Make the stretch of the text at `field` unreadable; without a span, all of it. False where there is nothing."""
    steps = _steps(field)
    holder = content
    for step in steps[:-1]:
        holder = _child(holder, step)
    value = _child(holder, steps[-1]) if steps else None
    if isinstance(value, list) and steps[-1] == "content" and (texts := _text_parts(value)):
        _mask_across(texts, span)
    elif value is not None:
        cast("dict[str | int, JsonValue]", holder)[steps[-1]] = (
            masked(value, span) if isinstance(value, str) else MASK * 8
        )
    return value is not None


def _mask_across(parts: Iterable[dict[str, JsonValue]], span: tuple[int, int] | None) -> None:
    """Mask a stretch of the texts of all parts, taken as one."""
    start = 0
    for part in parts:
        text = cast("str", part["text"])
        within = None if span is None else (max(span[0] - start, 0), max(span[1] - start, 0))
        part["text"] = masked(text, within)
        start += len(text)


def clamped(span: tuple[int, int], length: int) -> tuple[int, int]:
    """The part of the span that a text of this length has."""
    start = min(max(span[0], 0), length)
    return start, min(max(span[1], start), length)


def masked(text: str, span: tuple[int, int] | None) -> str:
    """The text with the stretch unreadable but for its beginning, and as long as before."""
    first, last = clamped(span or (0, len(text)), len(text))
    kept = _KEPT_OF_SECRET if last - first >= _SHORT_SECRET else 0
    return text[: first + kept] + MASK * (last - first - kept) + text[last:]
