"""The one form of an example as bytes, and back: equal content gives equal bytes in every process.

A record is a digest of 16 bytes, the content as canonical JSON, a line feed (which JSON never holds raw), and the
metadata as JSON, or nothing. A `#` before the metadata says that numbers in this row need the exact, slower parser.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import orjson

from finetune_kit.errors import RowError
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Kind, Message

DIGEST_BYTES = 16
_EXACT = b"#"
_NOTHING: Mapping[str, JsonValue] = {}

# orjson writes 254 levels; the wrapping of messages takes some of them.
_DEEPEST = 200
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


def pack(example: Example) -> bytes:
    """The record of an example; `RowError` where it has no faithful JSON form."""
    _check_texts(example)
    exact = needs_exact_numbers(example)
    content = _dump(example.content(), exact=exact)
    metadata = _dump(dict(example.metadata), exact=exact) if example.metadata else b""
    digest = hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()
    return b"".join((digest, content, b"\n", _EXACT if exact else b"", metadata))


def kind_of(example: Example) -> Kind:
    """Which kind of example it is."""
    return "completion" if isinstance(example, CompletionExample) else "chat"


def content_of(record: bytes) -> bytes:
    """The canonical JSON of what is trained on."""
    return record[DIGEST_BYTES : record.index(b"\n", DIGEST_BYTES)]


def unpack(kind: Kind, record: bytes) -> Example:
    """The example that was packed."""
    end = record.index(b"\n", DIGEST_BYTES)
    content, rest = record[DIGEST_BYTES:end], record[end + 1 :]
    loads: Callable[[bytes], Any] = orjson.loads
    if rest.startswith(_EXACT):
        loads, rest = json.loads, rest[1:]
    data = loads(content)
    metadata = loads(rest) if rest else _NOTHING
    if kind == "completion":
        return CompletionExample(data["prompt"], data["completion"], metadata)
    messages = tuple(message_of(message) for message in data.pop("messages"))
    return ChatExample(messages, data, metadata)


def message_of(data: dict[str, Any]) -> Message:
    """One turn from its JSON object, whose `role` and `content` have been checked; takes the object apart."""
    return Message(data.pop("role"), data.pop("content", None), data)


def needs_exact_numbers(example: Example) -> bool:
    """Whether it holds numbers beyond 64 bits, which orjson reads as rounded floats and does not write."""
    exact = bool(example.metadata) and _survey(example.metadata, "metadata")
    if isinstance(example, ChatExample):
        for number, message in enumerate(example.messages):
            if message.more:
                exact |= _survey(message.more, f"messages[{number}]")
        if example.more:
            exact |= _survey(example.more, "the row")
    return exact


def _survey(value: Mapping[str, object], where: str) -> bool:
    exact = False
    level: list[Any] = [dict(value)]
    for _ in range(_DEEPEST):  # level by level, because data as deep as it likes must not meet Python's recursion limit
        deeper: list[Any] = []
        for item in level:
            if item is None or isinstance(item, str | bool):
                continue
            if isinstance(item, int):
                exact |= not _INT_MIN <= item <= _INT_MAX
            elif isinstance(item, float) and math.isfinite(item):
                exact |= abs(item) >= -_INT_MIN
            elif isinstance(item, dict) and all(isinstance(key, str) for key in cast("dict[object, Any]", item)):
                deeper += cast("dict[str, Any]", item).values()
            elif isinstance(item, list | tuple):
                deeper += cast("list[Any]", item)
            else:
                raise _no_json_form(cast("object", item), where)
        if not deeper:
            return exact
        level = deeper
    raise RowError(f"{where} is nested deeper than {_DEEPEST} levels", code="too_deep", hint="Flatten it")


def _no_json_form(item: object, where: str) -> RowError:
    if isinstance(item, float):
        what = "a number that is not finite (NaN or infinity)"
    elif isinstance(item, dict):
        what = "an object with a key that is not text"
    else:
        what = f"a value of type {type(item).__name__}"
    return RowError(f"{where} holds {what}, unknown to JSON", code="wrong_type", hint="Turn it into text first")


def _check_texts(example: Example) -> None:
    if isinstance(example, CompletionExample):
        texts = [("prompt", example.prompt), ("completion", example.completion)]
    else:
        texts = [(f"messages[{number}].role", message.role) for number, message in enumerate(example.messages)]
        texts += [
            (f"messages[{number}].content", message.content)
            for number, message in enumerate(example.messages)
            if message.content is not None
        ]
    values: list[tuple[str, object]] = list(texts)  # the annotations promise text, a user's function may not keep it
    for where, text in values:
        if not isinstance(text, str):
            what = type(text).__name__
            raise RowError(f"{where} is not text but {what}", code="wrong_type", hint="Turn it into text first")


def _dump(value: object, *, exact: bool) -> bytes:
    try:
        if exact:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        return orjson.dumps(value)
    except (TypeError, ValueError) as error:
        if "surrogate" in str(error):
            raise RowError(
                "the text holds half of a surrogate pair, which is no character",
                code="lone_surrogate",
                hint="Delete it, or write the whole character; it often comes from a text that was cut inside an emoji",
            ) from error
        reason = f"the row has no JSON form: {error}"
        raise RowError(reason, code="wrong_type", hint="Turn such values into text") from error
