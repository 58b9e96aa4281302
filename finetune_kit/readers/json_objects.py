"""One JSON object to one example, by orjson, for JSON Lines and JSON documents alike."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, cast

import orjson

from finetune_kit._canonical import PAIR_KEYS, needs_exact_numbers
from finetune_kit.errors import RowError
from finetune_kit.readers.intake import Chats, Pairs
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


_PYTHON_WORDS = ("NaN", "Infinity", "None", "True", "False")
_ODD_QUOTES = ("'", "\u2018", "\u2019", "\u201c", "\u201d")
_ODD_COLON = b'" :'
_CONTENT_FIRST = b'{"content":'
_COMPLETION_FIRST = b'{"completion":'
_PLAIN = {str, bool, int, type(None)}  # whole numbers that orjson gives are of 64 bits; larger ones it makes floats


def plain_pairs(rows: Sequence[Any], raw: Sequence[bytes], keys: tuple[str, str]) -> Pairs | None:
    """Prompts, completions and metadata of rows that hold nothing but texts and plain values; None otherwise.

    `raw` is the text of each row. A key that stands twice in one of them makes it None as well.
    """
    try:
        prompts, completions = ([row[key] for row in rows] for key in keys)
    except (KeyError, TypeError, IndexError):
        return None
    if {*map(type, prompts), *map(type, completions)} != {str}:
        return None
    if {*map(len, rows)} == {2}:
        text = b",".join(raw)
        # Most programs write as we do: such a row is stored as it stands, once it is seen that all are written so.
        if keys == PAIR_KEYS and _COMPLETION_FIRST not in text and orjson.dumps(rows) == b"[%b]" % text:
            return Pairs(prompts, completions, None, written=raw)
        return Pairs(prompts, completions, None) if _colons(text) == 2 * len(rows) else None
    metadata: list[dict[str, JsonValue]]
    metadata = [{key: value for key, value in row.items() if key not in keys} for row in rows]
    kinds: set[type] = {type(value) for more in metadata for value in more.values()}
    plain = kinds <= _PLAIN and _colons(b",".join(raw)) == sum(map(len, rows))
    return Pairs(prompts, completions, metadata) if plain else None


def plain_chats(rows: Sequence[Any], raw: Sequence[bytes]) -> Chats | None:
    """Conversations of rows that hold nothing but `messages` with a role and a text each; None otherwise.

    `raw` is as in `plain_pairs`.
    """
    try:
        conversations = [row["messages"] for row in rows]
        turns = list(chain.from_iterable(conversations))
        texts = [turn["role"] for turn in turns]
        texts += [turn["content"] for turn in turns]
    except (KeyError, TypeError, IndexError):
        return None
    plain = set(map(type, conversations)) == {list} and set(map(type, turns)) == {dict} and all(conversations)
    if not plain or set(map(type, texts)) != {str} or {*map(len, rows)} != {1} or {*map(len, turns)} != {2}:
        return None
    text = b",".join(raw)
    if orjson.dumps(rows) == b"[%b]" % text and _CONTENT_FIRST not in text:
        return Chats(conversations, written=raw)
    return Chats(conversations) if _colons(text) == len(rows) + len(texts) else None


def has_repeated_keys(raw: bytes, row: object) -> bool:
    """Whether an object in the text has a key twice, of which parsing it has kept only the last."""
    return _colons(raw) != _count_keys(row) and _repeats_a_key(raw)


def _colons(text: bytes) -> int:
    """How many colons stand right behind a text, as many as there are keys; -1 in oddly written JSON."""
    # Inside a text a quotation mark has a backslash before it.
    return -1 if _ODD_COLON in text else text.count(b'":') - text.count(b'\\":')


def _count_keys(value: object) -> int:
    count = 0
    level: list[object] = [value]
    while level:
        deeper: list[object] = []
        for item in level:
            if isinstance(item, dict):
                count += len(cast("dict[str, object]", item))
                deeper += [part for part in cast("dict[str, object]", item).values() if isinstance(part, dict | list)]
            elif isinstance(item, list):
                deeper += [part for part in cast("list[object]", item) if isinstance(part, dict | list)]
        level = deeper
    return count


def _repeats_a_key(text: bytes) -> bool:
    found = False

    def look(pairs: list[tuple[str, object]]) -> None:
        nonlocal found
        found = found or len({key for key, _ in pairs}) < len(pairs)

    json.loads(text, object_pairs_hook=look)
    return found


def bad_json(error: orjson.JSONDecodeError, *, advice: str = "Each line must be one whole JSON object") -> RowError:
    """Why a text is not JSON, as the reason to refuse it; `advice` is the hint where there is no better one."""
    if "surrogate" in error.msg:
        code, hint = "lone_surrogate", "It often comes from a text that was cut inside an emoji; delete the half"
    elif "depth" in error.msg:
        code, hint = "too_deep", "Flatten the row"
    else:
        code, hint = "bad_json", _syntax_hint(error.doc[error.pos : error.pos + 8]) or advice
    column = error.colno if error.lineno == 1 else error.pos  # an end that comes too soon is put behind the line feed
    return RowError(f"not valid JSON at column {column}: {error.msg}", code=code, hint=hint, column=column)


def _syntax_hint(text: str) -> str | None:
    """What mostly is wrong where this stands in place of a value or a key."""
    if text.startswith(_PYTHON_WORDS):
        return "NaN, Infinity, None, True and False are Python's words; JSON has null, true and false"
    if text.startswith(_ODD_QUOTES):
        return 'Keys and texts stand between straight double quotes, as in {"prompt": "..."}; json.dumps writes them'
    return None


def _exact(raw: bytes | str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        reason = f"a number in the row cannot be read: {error}"
        raise RowError(reason, code="bad_json", hint="Write it as text") from error
    return row
