"""A stretch of an example, as a model sees it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal, TypeAlias

import orjson

from finetune_kit.records import JsonValue

Use: TypeAlias = Literal["trained", "context", "special"]
"""Learned by heart, read only, or put there by the host around each message."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an example."""

    text: str
    use: Use
    where: str = ""
    """The part of the example that it is, such as `messages[1].content`."""
    extra_tokens: int = 0
    """Beside those of the text."""
    tokens: int | None = None
    """How many tokens the text is, where it was taken apart into them."""
    uncounted: int = 0
    """Parts whose tokens nobody publishes, such as images."""


def as_text(value: JsonValue) -> str:
    """A value as the model reads it: text as it is, nothing for null, anything else as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # numbers beyond 64 bits
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
