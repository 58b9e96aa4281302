"""The one form of an example as bytes, and back: equal content gives equal bytes in every process.

A record is the content as canonical JSON, a line feed (which JSON never holds raw), and the metadata as JSON, or
nothing. A `#` before the metadata says that numbers in this row need the exact, slower parser.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast

import orjson

from finetune_kit._damage import is_damaged, may_be_damaged
from finetune_kit._keys import all_folded, asked_in_chats, key_of, keys_of, prompt_key
from finetune_kit.errors import RowError
from finetune_kit.records import (
    ChatExample,
    CompletionExample,
    Example,
    JsonValue,
    Kind,
    Message,
    PreferenceExample,
    chat_examples,
    completion_examples,
    turns_of,
)

DIGEST_BYTES = 16

PAIR_KEYS = ("prompt", "completion")
"""The keys of a completion example, in the order in which they are written."""

# What is known of a row without reading it again.
NOTHING_ASKED = 1
BLANK_COMPLETION = 2
HAS_METADATA = 4
DAMAGED = 8

_EXACT = b"#"
_NOTHING: Mapping[str, JsonValue] = {}

# orjson writes 254 levels; the wrapping of messages takes some of them.
_DEEPEST = 200
_INT_MIN, _INT_MAX = -(2**63), 2**64 - 1


class Packed(NamedTuple):
    """An example as it is stored."""

    record: bytes
    key: bytes
    """Equal for examples that ask the same; where nothing is asked, for equal contents."""
    flags: int


def pack(example: Example) -> Packed:
    """The record of an example; `RowError` where it has no faithful JSON form."""
    _check_texts(example)
    exact = needs_exact_numbers(example)
    content = _dump(example.content(), exact=exact)
    metadata = _dump(dict(example.metadata), exact=exact) if example.metadata else b""
    key = prompt_key(example)
    flags = NOTHING_ASKED if key is None else 0
    if isinstance(example, CompletionExample) and not example.completion.strip():
        flags |= BLANK_COMPLETION
    if metadata or exact:
        flags |= HAS_METADATA
    if is_damaged(content):
        flags |= DAMAGED
    return Packed(b"".join((content, b"\n", _EXACT if exact else b"", metadata)), key or key_of(content), flags)


class PackedRows(NamedTuple):
    """Examples as they are stored, one behind the other."""

    records: bytes
    lengths: list[int]
    keys: bytes
    flags: bytes


def pack_pairs(
    prompts: Sequence[str],
    completions: Sequence[str],
    metadata: Sequence[Mapping[str, JsonValue]] | None = None,
    *,
    written: Sequence[bytes] | None = None,
) -> PackedRows:
    """Many examples at once, several times as fast as one by one, and the same bytes.

    Metadata, where there is any, holds nothing but text, truth values, null and whole numbers of 64 bits. `written` is
    each content in its canonical form, where that is known already.
    `RowError` where any of them has no JSON form; which, is found out one by one.
    """
    try:
        lines = _lines_of_pairs(prompts, completions) if written is None else written
        rest = None if metadata is None else [orjson.dumps(more) if more else b"" for more in metadata]
    except TypeError as error:
        raise _no_form(error) from error
    asked = all_folded(prompts)
    if all(asked) and all(completions) and not any(map(str.isspace, completions)):
        flags = bytes(len(lines))
    else:
        flags = bytes(
            [
                (not text) * NOTHING_ASKED + (not answer or answer.isspace()) * BLANK_COMPLETION
                for text, answer in zip(asked, completions, strict=True)
            ]
        )
        asked = [text or line for text, line in zip(asked, lines, strict=True)]
    return _packed(lines, asked, flags, rest, prompts, completions)


def pack_chats(
    conversations: Sequence[Sequence[Mapping[str, str]]], *, written: Sequence[bytes] | None = None
) -> PackedRows:
    """Many conversations at once, of messages with a role, a content that is text, and nothing else.

    `written` and `RowError` are as in `pack_pairs`.
    """
    try:
        lines = [_line_of_chat(turns) for turns in conversations] if written is None else written
    except TypeError as error:
        raise _no_form(error) from error
    asked = asked_in_chats(conversations)
    flags = bytes([(not text) * NOTHING_ASKED for text in asked])
    asked = [text or line for text, line in zip(asked, lines, strict=True)]
    return _packed(lines, asked, flags, None, [turn["content"] for turns in conversations for turn in turns])


def _packed(
    lines: Sequence[bytes],
    asked: Sequence[bytes],
    flags: bytes,
    metadata: Sequence[bytes] | None,
    *texts: Sequence[str],
) -> PackedRows:
    records = b"\n".join((*lines, b""))
    if may_be_damaged(records, *texts):
        flags = bytes([flag | DAMAGED * is_damaged(line) for flag, line in zip(flags, lines, strict=True)])
    lengths = [len(line) + 1 for line in lines]
    if metadata is not None:
        flags = bytes([flag | HAS_METADATA * bool(more) for flag, more in zip(flags, metadata, strict=True)])
        lengths = [length + len(more) for length, more in zip(lengths, metadata, strict=True)]
        records = b"".join([line + b"\n" + more for line, more in zip(lines, metadata, strict=True)])
    return PackedRows(records, lengths, b"".join(keys_of(asked)), flags)


def _line_of_chat(turns: Sequence[Mapping[str, str]]) -> bytes:
    return orjson.dumps({"messages": [{"role": turn["role"], "content": turn["content"]} for turn in turns]})


def _lines_of_pairs(prompts: Sequence[str], completions: Sequence[str]) -> list[bytes]:
    """The content of each pair, written as one list and then parted.

    Inside a text a quotation mark follows a backslash, so what stands between two pairs stands nowhere else.
    """
    pairs = [{"prompt": prompt, "completion": text} for prompt, text in zip(prompts, completions, strict=True)]
    return orjson.dumps(pairs)[1:-1].replace(b'},{"prompt":"', b'}\n{"prompt":"').split(b"\n")


def kind_of(example: Example) -> Kind:
    """Which kind of example it is."""
    return example.kind


def content_of(record: bytes) -> bytes:
    """The canonical JSON of what is trained on."""
    return record[: record.index(b"\n")]


def digest_of(record: bytes) -> bytes:
    """16 bytes that are equal for equal contents."""
    return hashlib.blake2b(content_of(record), digest_size=DIGEST_BYTES).digest()


def unpack(kind: Kind, record: bytes) -> Example:
    """The example that was packed."""
    end = record.index(b"\n")
    content, rest = record[:end], record[end + 1 :]
    loads: Callable[[bytes], Any] = orjson.loads
    if rest.startswith(_EXACT):
        loads, rest = json.loads, rest[1:]
    return _example(kind, loads(content), loads(rest) if rest else _NOTHING)


def unpack_many(kind: Kind, records: Sequence[bytes]) -> Sequence[Example]:
    """The examples that were packed, several times as fast as one by one."""
    parts = [record.partition(b"\n") for record in records]
    rests = [rest for _, _, rest in parts]
    if any(rest.startswith(_EXACT) for rest in rests):
        return [unpack(kind, record) for record in records]
    found: list[Any] = orjson.loads(b"[" + b",".join([content for content, _, _ in parts]) + b"]")
    metadata: list[Mapping[str, JsonValue]] = [_NOTHING] * len(found)
    if any(rests):
        metadata = [orjson.loads(rest) if rest else _NOTHING for rest in rests]
    if kind == "completion":
        return completion_examples([data["prompt"] for data in found], [data["completion"] for data in found], metadata)
    if kind == "chat":
        return chat_examples([data.pop("messages") for data in found], found, metadata)
    return [_example(kind, data, more) for data, more in zip(found, metadata, strict=True)]


def unpack_pairs(contents: bytes) -> list[dict[str, str]]:
    """`prompt` and `completion` of many completion examples, from their contents, each ended by a line feed."""
    pairs: list[dict[str, str]] = orjson.loads(b"[" + contents[:-1].replace(b"\n", b",") + b"]")
    return pairs


def unpack_metadata(records: Sequence[bytes]) -> list[dict[str, JsonValue]]:
    """The metadata of those of the rows that have some."""
    parts = [record[record.index(b"\n") + 1 :] for record in records]
    exact: list[dict[str, JsonValue]] = [json.loads(part[1:]) for part in parts if part.startswith(_EXACT) and part[1:]]
    plain = b",".join([part for part in parts if part and not part.startswith(_EXACT)])
    found: list[dict[str, JsonValue]] = orjson.loads(b"[" + plain + b"]")
    return found + exact


def _example(kind: Kind, data: dict[str, Any], metadata: Mapping[str, JsonValue]) -> Example:
    if kind == "completion":
        return CompletionExample(data["prompt"], data["completion"], metadata)
    if kind == "chat":
        return ChatExample(_messages(data.pop("messages")), data, metadata)
    asked: dict[str, Any] = data["input"]
    messages = _messages(asked.pop("messages"))
    preferred, other = _messages(data["preferred_output"]), _messages(data["non_preferred_output"])
    return PreferenceExample(messages, preferred, other, asked, metadata)


def _messages(turns: list[dict[str, Any]]) -> tuple[Message, ...]:
    return tuple(map(message_of, turns))


def message_of(data: dict[str, Any]) -> Message:
    """One turn from its JSON object, whose `role` and `content` have been checked; takes the object apart."""
    return Message(data.pop("role"), data.pop("content", None), data)


def needs_exact_numbers(example: Example) -> bool:
    """Whether it holds numbers beyond 64 bits, which orjson reads as rounded floats and does not write."""
    exact = bool(example.metadata) and _survey(example.metadata, "metadata")
    if isinstance(example, CompletionExample):
        return exact
    for where, message in turns_of(example):
        if message.more:
            exact |= _survey(message.more, where)
        if isinstance(message.content, list):
            exact |= _survey({"content": message.content}, where)
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
    # The annotations promise text, a user's function may not keep it.
    values: list[tuple[str, object]]
    if isinstance(example, CompletionExample):
        values = [("prompt", example.prompt), ("completion", example.completion)]
    else:
        turns = list(turns_of(example))
        values = [(f"{where}.role", message.role) for where, message in turns]
        values += [
            (f"{where}.content", message.content)
            for where, message in turns
            if message.content is not None and not isinstance(message.content, list)
        ]
    for where, text in values:
        if not isinstance(text, str):
            what = type(text).__name__
            raise RowError(f"{where} is not text but {what}", code="wrong_type", hint="Turn it into text first")


def _dump(value: object, *, exact: bool = False) -> bytes:
    try:
        if exact:
            return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        return orjson.dumps(value)
    except (TypeError, ValueError) as error:
        raise _no_form(error) from error


def _no_form(error: Exception) -> RowError:
    if "surrogate" in str(error):
        return RowError(
            "the text holds half of a surrogate pair, which is no character",
            code="lone_surrogate",
            hint="Delete it, or write the whole character; it often comes from a text that was cut inside an emoji",
        )
    return RowError(f"the row has no JSON form: {error}", code="wrong_type", hint="Turn such values into text")
