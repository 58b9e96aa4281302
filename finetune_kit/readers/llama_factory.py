"""The messages of LLaMA-Factory's first version: parts with a `value`, and a `loss_weight` on each turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from finetune_kit._quoting import described
from finetune_kit.errors import RowError
from finetune_kit.readers.columns import shown
from finetune_kit.readers.refusals import missing, wrong_type
from finetune_kit.readers.sharegpt import Turns, sharegpt_tools
from finetune_kit.readers.turns import HOST_KEYS, listed, message_in
from finetune_kit.records import ChatExample, JsonValue, Message

LLAMA_FACTORY_NOTE = (
    "The messages are written as LLaMA-Factory does: the 'value' of a part was read as its text, and a 'loss_weight' "
    "of 0 on an assistant's turn as its weight."
)

_WEIGHT_HINT = "Hosts know 0 and 1 on turns of the assistant, in preference pairs only 1, and 0 on all others"
_PARTS_HINT = "Parts of type text, image_url and tool_call can be read; write others into the text, or leave them out"


def has_valued_parts(messages: object) -> bool:
    """Whether a content has parts whose text is called `value`."""
    turns = cast("list[object]", messages) if isinstance(messages, list) else []
    contents = [cast("Mapping[str, object]", turn).get("content") for turn in turns if isinstance(turn, Mapping)]
    parts = [part for content in contents if isinstance(content, list) for part in cast("list[object]", content)]
    return any(isinstance(part, dict) and "value" in part and "text" not in part for part in parts)


def llama_factory(row: Mapping[str, Any]) -> ChatExample:
    """A row with such `messages`."""
    messages = tuple(_messages(row["messages"], "messages", weighted=True))
    more = {key: value for key, value in row.items() if key in HOST_KEYS and key != "tools"}
    metadata = {key: value for key, value in row.items() if key not in HOST_KEYS and key != "messages"}
    return ChatExample(messages, {**more, **sharegpt_tools(row)}, metadata)


def llama_factory_messages(value: object, where: str) -> tuple[Message, ...]:
    """One side of a preference pair, where no turn has a weight of its own."""
    return tuple(_messages(value, where, weighted=False))


def _messages(value: object, where: str, *, weighted: bool) -> list[Message]:
    turns = listed(value, where, hint="It must be a list of objects with role and content")
    reading = Turns()
    return [
        message
        for number, turn in enumerate(turns)
        for message in _read(turn, f"{where}[{number}]", reading, weighted=weighted)
    ]


def _read(turn: object, where: str, reading: Turns, *, weighted: bool) -> list[Message]:
    """The messages that a turn stands for: one, or one for each result of several calls."""
    calls: list[str] = []
    if isinstance(turn, Mapping):
        turn = cast("Mapping[str, object]", turn)
        parts = turn.get("content")
        if isinstance(parts, list):
            read = [_part(part, f"{where}.content[{place}]") for place, part in enumerate(cast("list[object]", parts))]
            calls = [text for kind, text in read if kind == "tool_call"]
            turn = {**turn, "content": _content([one for one in read if one[0] != "tool_call"])}
    message = _weighed(message_in(turn, where), where, weighted=weighted)
    if calls:
        [called] = reading.read({"from": "function_call", "value": f"[{','.join(calls)}]"}, where)
        return [replace(message, content=message.content or None, more={**called.more, **message.more})]
    if message.role == "tool" and isinstance(message.content, str):
        results = reading.read({"from": "observation", "value": message.content}, where)
        return [replace(result, more={**result.more, **message.more}) for result in results]
    return [message]


def _part(part: object, where: str) -> tuple[str, str]:
    if not isinstance(part, Mapping):
        raise wrong_type(where, part, hint='Write text as {"type": "text", "value": "..."}')
    part = cast("Mapping[str, object]", part)
    if "value" not in part or "type" not in part:
        key = "value" if "type" in part else "type"
        raise missing(f"{where}.{key}", part, holder="part", hint="A part has a type and a value")
    kind, value = part["type"], part["value"]
    if kind == "tool_calls":
        kind = "tool_call"
    if not isinstance(kind, str) or kind not in ("text", "image_url", "tool_call"):
        raise RowError(
            f"{where} is a part of type {shown([str(kind)])}, unknown to hosts", code="wrong_type", hint=_PARTS_HINT
        )
    if not isinstance(value, str):
        raise wrong_type(f"{where}.value", value)
    return kind, value


def _content(parts: Sequence[tuple[str, str]]) -> str | list[JsonValue]:
    """One text as such, other contents as the parts that hosts take."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0][0] == "text":
        return parts[0][1]
    return [_host_part(kind, text) for kind, text in parts]


def _host_part(kind: str, text: str) -> JsonValue:
    if kind == "text":
        return {"type": "text", "text": text}
    return {"type": "image_url", "image_url": {"url": text}}


def _weighed(message: Message, where: str, *, weighted: bool) -> Message:
    """The message with hosts' weight; 1 is what a turn of the assistant has without one."""
    if "loss_weight" not in message.more:
        return message
    more = dict(message.more)
    weight = more.pop("loss_weight")
    allowed = (0,) if message.role != "assistant" else (0, 1) if weighted else (1,)
    if isinstance(weight, bool) or weight not in allowed:
        raise RowError(
            f"{where}.loss_weight is {described(weight)} on a turn of role {shown([message.role])}",
            code="wrong_type",
            hint=_WEIGHT_HINT,
        )
    if message.role == "assistant" and not weight:
        more["weight"] = 0
    return replace(message, more=more)
