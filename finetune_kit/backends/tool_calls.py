"""What a model wants done instead of, or besides, what it says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from finetune_kit.records import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """One call of a tool, as the model wrote it.

    >>> call = ToolCall(id="call_1", name="track", arguments='{"parcel": 7}')
    >>> call.content()["function"]
    {'name': 'track', 'arguments': '{"parcel": 7}'}
    """

    id: str
    """What the tool's answer names as `tool_call_id`; empty where the host gives none."""
    name: str
    arguments: str
    """JSON by agreement, and whatever the model wrote in fact: read it as you read what a user sends."""
    type: Literal["function", "custom"] = "function"
    """A `custom` tool takes plain text."""

    def content(self) -> dict[str, JsonValue]:
        """As it stands in the assistant's message, in OpenAI's shape, so that the conversation can go on."""
        key = "arguments" if self.type == "function" else "input"
        return {"id": self.id, "type": self.type, self.type: {"name": self.name, key: self.arguments}}


class CallingPiece(str):
    """The last piece of a streamed answer that calls tools: an empty text, so that the pieces are what was written."""

    __slots__ = ("tool_calls",)
    tool_calls: tuple[ToolCall, ...]

    def __new__(cls, tool_calls: Iterable[ToolCall]) -> CallingPiece:
        made = super().__new__(cls)
        made.tool_calls = tuple(tool_calls)
        return made

    def __reduce__(self) -> tuple[type[CallingPiece], tuple[tuple[ToolCall, ...]]]:
        return type(self), (self.tool_calls,)
