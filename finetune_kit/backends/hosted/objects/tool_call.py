"""Calls of tools, as hosts send them: whole in a message, or piece by piece in a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from finetune_kit.backends.hosted.objects.values import Members, count, items, members, text
from finetune_kit.backends.tool_calls import ToolCall
from finetune_kit.errors import HostReplyError
from finetune_kit.records import JsonValue


def read_tool_calls(message: Members) -> tuple[ToolCall, ...]:
    """The calls in an assistant's message, one in the older form too; `HostReplyError` where one names no tool."""
    calls = [_read(members(call)) for call in items(message.get("tool_calls"))]
    if not calls and members(message.get("function_call")):
        calls = [_read({"function": message["function_call"]})]
    return tuple(calls)


def _read(call: Members) -> ToolCall:
    custom = members(call.get("custom"))
    told = custom or members(call.get("function"))
    name = text(told.get("name"))
    if name is None:
        raise HostReplyError("the host's answer holds a call of a tool without a name.")
    return ToolCall(
        id=text(call.get("id")) or "",
        name=name,
        arguments=_written(told.get("input" if custom else "arguments")),
        type="custom" if custom else "function",
    )


def _written(arguments: JsonValue) -> str:
    """Some hosts send an object for the text that the model wrote."""
    if arguments is None:
        return ""
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


@dataclass(slots=True)
class Gathered:
    """The calls of a stream, put together from the pieces in which they come."""

    _calls: dict[int, dict[str, JsonValue]] = field(default_factory=dict[int, "dict[str, JsonValue]"])

    def add(self, delta: Members) -> None:
        """Take up what one piece of the stream tells of them."""
        for place, call in enumerate(map(members, items(delta.get("tool_calls")))):
            number = count(call.get("index"))
            self._join(place if number is None else number, call)
        old = members(delta.get("function_call"))
        if old:
            self._join(0, {"function": dict(old)})

    def whole(self) -> tuple[ToolCall, ...]:
        """All of them, in the host's order."""
        return read_tool_calls({"tool_calls": [self._calls[number] for number in sorted(self._calls)]})

    def _join(self, number: int, call: Members) -> None:
        kept = self._calls.setdefault(number, {})
        kept["id"] = kept.get("id") or call.get("id")
        for kind, last in (("function", "arguments"), ("custom", "input")):
            told = members(call.get(kind))
            if told:
                before = members(kept.get(kind))
                name = f"{before.get('name') or ''}{told.get('name') or ''}"
                kept[kind] = {"name": name, last: _written(before.get(last)) + _written(told.get(last))}
