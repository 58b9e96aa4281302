"""Examples as the lines that a host trains on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import orjson

from finetune_kit.hosts import MessageWeights, PreferenceRows
from finetune_kit.records import CompletionExample, JsonValue
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import as_conversation

_WEIGHT = b'"weight"'
_FUNCTIONS = "functions"
"""The older form of tools: what a model learns to call is never left out, even where the host then refuses it."""


def rendered_lines(
    rows: Rows,
    template: PromptTemplate | None,
    *,
    weights: MessageWeights = "assistant",
    preferences: PreferenceRows = "openai",
    row_keys: tuple[str, ...] | None = None,
) -> Iterator[bytes]:
    """Each row as one JSON line without its end.

    Prompts and completions are written by `template`, and without one as conversations of two turns; all others as
    they are, but for the weights of messages, which are written so that the host learns the same of them, and for
    preference pairs where the host has other names for what they are made of. Where a host refuses what else stands
    beside the messages, only `row_keys` of it are written.
    """
    if rows.kind == "chat":
        lines = rows.content_lines()
        if weights != "assistant" and any(map(_has_weights, rows.content_lines())):
            lines = (_weighted(line, every=weights == "every") for line in lines)
        if row_keys is None:
            return lines
        keys = {"messages", _FUNCTIONS, *row_keys}
        return (_with_keys(line, keys) for line in lines)
    if rows.kind == "preference" and preferences == "chosen":
        return map(_chosen, rows.content_lines())
    if rows.kind != "completion":
        return rows.content_lines()
    return (_rendered(example, template) for example in rows if isinstance(example, CompletionExample))


def _rendered(example: CompletionExample, template: PromptTemplate | None) -> bytes:
    if template is None:
        return orjson.dumps(as_conversation(example).content())
    return orjson.dumps(
        {"prompt": template.prompt(example.prompt), "completion": template.completion(example.completion)}
    )


def _has_weights(line: bytes) -> bool:
    return _WEIGHT in line and any("weight" in message for message in _messages(orjson.loads(line)))


def _messages(row: object) -> list[dict[str, JsonValue]]:
    """They were read and checked before, or are refused by the rules."""
    told = cast("dict[str, object]", row).get("messages") if isinstance(row, dict) else None
    messages = cast("list[object]", told) if isinstance(told, list) else []
    return [cast("dict[str, JsonValue]", message) for message in messages if isinstance(message, dict)]


def _weighted(line: bytes, *, every: bool) -> bytes:
    """With a weight on every message, 0 but for answers that are learned; or with none on any."""
    row: object = orjson.loads(line)
    for message in _messages(row):
        weight = message.pop("weight", None)
        if every:
            message["weight"] = int(message.get("role") == "assistant" and weight != 0)
    return orjson.dumps(row)


def _with_keys(line: bytes, keys: set[str]) -> bytes:
    """A row without what the host does not take; most rows stay as they are."""
    row: object = orjson.loads(line)
    if not isinstance(row, dict) or row.keys() <= keys:
        return line
    told = cast("dict[str, object]", row)
    return orjson.dumps({key: value for key, value in told.items() if key in keys})


def _chosen(line: bytes) -> bytes:
    """A pair whose answers were checked to be one message each; a row that is no such pair stays as it is."""
    match orjson.loads(line):
        case {"input": {**asked}, "preferred_output": [good], "non_preferred_output": [bad]}:
            return orjson.dumps({**asked, "chosen": good, "rejected": bad})
        case _:
            return line
