"""Conversations: chat messages as hosts define them, and sharegpt's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from finetune_kit.errors import RowError
from finetune_kit.readers.refusals import missing, wrong_type
from finetune_kit.records import ChatExample, JsonValue, Message

SHAREGPT_NOTE = "The rows are sharegpt conversations: 'human' was read as user, 'gpt' as assistant."

HOST_KEYS = frozenset({"tools", "parallel_tool_calls", "functions", "function_call"})
"""Keys that hosts define beside `messages`."""

_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


def chat(row: Mapping[str, Any]) -> ChatExample:
    """A row with `messages`."""
    messages = messages_in(row["messages"], "messages")
    more = {key: value for key, value in row.items() if key in HOST_KEYS}
    metadata = {key: value for key, value in row.items() if key not in HOST_KEYS and key != "messages"}
    return ChatExample(messages, more, metadata)


def sharegpt(row: Mapping[str, Any]) -> ChatExample:
    """A row with `conversations`."""
    metadata = {key: value for key, value in row.items() if key not in ("conversations", "system", "tools")}
    return ChatExample(sharegpt_messages(row), metadata=metadata)


def sharegpt_messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The turns of a row with `conversations`, a `system` text before them where there is one."""
    turns = _listed(row["conversations"], "conversations", hint="It must be a list of objects with from and value")
    messages = [turn_in(turn, f"conversations[{number}]") for number, turn in enumerate(turns)]
    system = row.get("system")
    if system:
        if not isinstance(system, str):
            raise wrong_type("system", system)
        messages.insert(0, Message("system", system))
    if row.get("tools"):
        raise RowError(
            "'tools' of a sharegpt row cannot be read", code="wrong_type", hint="Write the row as 'messages'"
        )
    return tuple(messages)


def messages_in(value: object, where: str) -> tuple[Message, ...]:
    """A list of messages, each by its role or, as in sharegpt, by who it is from."""
    turns = _listed(value, where, hint="It must be a list of objects with role and content")
    return tuple(message_in(turn, f"{where}[{number}]") for number, turn in enumerate(turns))


def turn_in(turn: object, where: str) -> Message:
    """One turn of sharegpt."""
    if not isinstance(turn, Mapping):
        raise wrong_type(where, turn, hint="It must be an object with from and value")
    turn = cast("Mapping[str, JsonValue]", turn)
    if "from" not in turn and "role" in turn:
        return message_in(turn, where)
    for key in ("from", "value"):
        if key not in turn:
            hint = "Each turn has from (human, gpt or system) and value"
            raise missing(f"{where}.{key}", turn, holder="turn", hint=hint)
    speaker, value = turn["from"], turn["value"]
    if not isinstance(speaker, str) or speaker not in _SPEAKERS:
        raise RowError(
            f"{where}.from is {speaker!r}, not human, gpt or system",
            code="wrong_type",
            hint="Write rows with tool calls as 'messages'",
        )
    if not isinstance(value, str):
        raise wrong_type(f"{where}.value", value)
    return Message(_SPEAKERS[speaker], value, {key: item for key, item in turn.items() if key not in ("from", "value")})


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


def _listed(value: object, where: str, *, hint: str) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise wrong_type(where, value, hint=hint)
    return cast("Sequence[object]", value)
