"""Conversations: chat messages as hosts define them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from finetune_kit.readers.refusals import missing, wrong_type
from finetune_kit.records import ChatExample, JsonValue, Message

HOST_KEYS = frozenset({"tools", "parallel_tool_calls", "functions", "function_call"})
"""Keys that hosts define beside `messages`."""


def chat(row: Mapping[str, Any]) -> ChatExample:
    """A row with `messages`."""
    messages = messages_in(row["messages"], "messages")
    more = {key: value for key, value in row.items() if key in HOST_KEYS}
    metadata = {key: value for key, value in row.items() if key not in HOST_KEYS and key != "messages"}
    return ChatExample(messages, more, metadata)


def messages_in(value: object, where: str) -> tuple[Message, ...]:
    """A list of messages."""
    turns = listed(value, where, hint="It must be a list of objects with role and content")
    return tuple(message_in(turn, f"{where}[{number}]") for number, turn in enumerate(turns))


def message_in(turn: object, where: str) -> Message:
    """One message; its content is text, null, or a list of parts that is kept as it is."""
    if not isinstance(turn, Mapping):
        raise wrong_type(where, turn, hint="It must be an object with role and content")
    turn = cast("Mapping[str, JsonValue]", turn)
    if "role" not in turn:
        raise missing(f"{where}.role", turn, holder="message", hint="Add system, user, assistant or tool")
    role, content = turn["role"], turn.get("content")
    if not isinstance(role, str):
        raise wrong_type(f"{where}.role", role)
    if isinstance(content, list | tuple):
        content = [_part(part, f"{where}.content[{number}]") for number, part in enumerate(content)]
    elif content is not None and not isinstance(content, str):
        raise wrong_type(f"{where}.content", content)
    return Message(role, content, {key: value for key, value in turn.items() if key not in ("role", "content")})


def _part(part: JsonValue, where: str) -> JsonValue:
    if not isinstance(part, dict):
        hint = 'Write text as {"type": "text", "text": "..."}, or the whole content as one string'
        raise wrong_type(where, part, hint=hint)
    wanted = ("type", "text") if part.get("type") == "text" else ("type",)
    for key in wanted:
        if key not in part:
            raise missing(f"{where}.{key}", part, holder="part", hint="A part has a type, and one of text its text")
        if not isinstance(part[key], str):
            raise wrong_type(f"{where}.{key}", part[key])
    return part


def listed(value: object, where: str, *, hint: str) -> Sequence[object]:
    """The value, which must be a list; the hint says of what."""
    if not isinstance(value, list | tuple):
        raise wrong_type(where, value, hint=hint)
    return cast("Sequence[object]", value)
