"""One JSON object to one example, by orjson, for JSON Lines and JSON documents alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import orjson

from finetune_kit._canonical import needs_exact_numbers
from finetune_kit.errors import RowError
from finetune_kit.readers.refusals import wrong_type
from finetune_kit.readers.shapes import Shape
from finetune_kit.records import Example, JsonValue


def example_of(row: object, raw: bytes | str, shape: Shape) -> Example:
    """The example that a parsed row is; `raw` is its text, for numbers that orjson rounds."""
    if not isinstance(row, dict):
        raise wrong_type("the row", row, hint="Each row must be one object: {...}")
    example = shape.example(cast("dict[str, Any]", row))
    if needs_exact_numbers(example):
        example = shape.example(_exact(raw))
    return example


Pairs = tuple[list[str], list[str], list[dict[str, JsonValue]] | None]

_PLAIN = {str, bool, int, type(None)}  # whole numbers that orjson gives are of 64 bits; larger ones it makes floats


def plain_pairs(rows: Sequence[Any], keys: tuple[str, str]) -> Pairs | None:
    """Prompts, completions and metadata of rows that hold nothing but texts and plain values; None otherwise."""
    try:
        prompts, completions = ([row[key] for row in rows] for key in keys)
    except (KeyError, TypeError, IndexError):
        return None
    if {*map(type, prompts), *map(type, completions)} != {str}:
        return None
    if {*map(len, rows)} == {2}:
        return prompts, completions, None
    metadata: list[dict[str, JsonValue]]
    metadata = [{key: value for key, value in row.items() if key not in keys} for row in rows]
    kinds: set[type] = {type(value) for more in metadata for value in more.values()}
    return (prompts, completions, metadata) if kinds <= _PLAIN else None


def bad_json(error: orjson.JSONDecodeError) -> RowError:
    """Why a text is not JSON, as the reason to refuse it."""
    if "surrogate" in error.msg:
        code, hint = "lone_surrogate", "It often comes from a text that was cut inside an emoji; delete the half"
    elif "depth" in error.msg:
        code, hint = "too_deep", "Flatten the row"
    else:
        code, hint = "bad_json", "Each line must be one whole JSON object"
    column = error.colno if error.lineno == 1 else error.pos  # an end that comes too soon is put behind the line feed
    return RowError(f"not valid JSON at column {column}: {error.msg}", code=code, hint=hint, column=column)


def _exact(raw: bytes | str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        reason = f"a number in the row cannot be read: {error}"
        raise RowError(reason, code="bad_json", hint="Write it as text") from error
    return row
