"""sharegpt's conversations, with the tools and calls that LLaMA-Factory writes into them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from finetune_kit.errors import RowError
from finetune_kit.readers.columns import shown
from finetune_kit.readers.refusals import missing, wrong_type
from finetune_kit.readers.turns import listed, message_in
from finetune_kit.records import ChatExample, JsonValue, Message

SHAREGPT_NOTE = (
    "The rows are sharegpt conversations: 'human' was read as user, 'gpt' as assistant, 'function_call' as the "
    "assistant's call of a tool, and 'observation' as what the tool answered."
)

_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_SPEAKERS_HINT = "Each turn has from (human, gpt, system, function_call or observation) and value"
_CALL_HINT = 'It must be a JSON object such as {"name": "track", "arguments": {"parcel": "4711"}}, or a list of them'
_TOOLS_HINT = "It must be a list of functions with name, description and parameters, or the JSON of one"


def sharegpt(row: Mapping[str, Any]) -> ChatExample:
    """A row with `conversations`."""
    metadata = {key: value for key, value in row.items() if key not in ("conversations", "system", "tools")}
    return ChatExample(sharegpt_messages(row), sharegpt_tools(row), metadata)


def sharegpt_messages(row: Mapping[str, Any]) -> tuple[Message, ...]:
    """The turns of a row with `conversations`, a `system` text before them where there is one."""
    turns = listed(row["conversations"], "conversations", hint="It must be a list of objects with from and value")
    reading = Turns()
    messages = [
        message for number, turn in enumerate(turns) for message in reading.read(turn, f"conversations[{number}]")
    ]
    system = row.get("system")
    if system:
        if not isinstance(system, str):
            raise wrong_type("system", system)
        messages.insert(0, Message("system", system))
    return tuple(messages)


def sharegpt_tools(row: Mapping[str, Any]) -> dict[str, JsonValue]:
    """`tools` as hosts define them, where the row has any."""
    given = row.get("tools")
    tools = _parsed(given, "tools", _TOOLS_HINT) if isinstance(given, str) and given.strip() else given
    if not tools:
        return {}
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in cast("list[object]", tools)):
        raise RowError("'tools' is not a list of functions", code="wrong_type", hint=_TOOLS_HINT)
    return {"tools": [_tool(tool) for tool in cast("list[dict[str, JsonValue]]", tools)]}


def turn_in(turn: object, where: str) -> Message:
    """One turn of sharegpt."""
    if not isinstance(turn, Mapping):
        raise wrong_type(where, turn, hint="It must be an object with from and value")
    turn = cast("Mapping[str, JsonValue]", turn)
    if "from" not in turn and "role" in turn:
        return message_in(turn, where)
    for key in ("from", "value"):
        if key not in turn:
            raise missing(f"{where}.{key}", turn, holder="turn", hint=_SPEAKERS_HINT)
    speaker, value = turn["from"], turn["value"]
    if not isinstance(speaker, str) or speaker not in _SPEAKERS:
        said = shown([str(speaker)])
        raise RowError(f"{where}.from is {said}, not human, gpt or system", code="wrong_type", hint=_SPEAKERS_HINT)
    if not isinstance(value, str):
        raise wrong_type(f"{where}.value", value)
    return Message(_SPEAKERS[speaker], value, _rest(turn))


@dataclass(slots=True)
class Turns:
    """The turns of one row; calls have no ids there, so each is given one, and its result the same."""

    _made: int = 0
    _waiting: list[str] = field(default_factory=list[str])

    def read(self, turn: object, where: str) -> list[Message]:
        """The messages that a turn stands for: one, or one for each result of several calls."""
        if not isinstance(turn, Mapping):
            raise wrong_type(where, turn, hint="It must be an object with from and value")
        turn = cast("Mapping[str, JsonValue]", turn)
        if turn.get("from") == "function_call":
            return [self._calls(turn, where)]
        if turn.get("from") == "observation":
            return self._results(turn, where)
        return [turn_in(turn, where)]

    def _calls(self, turn: Mapping[str, JsonValue], where: str) -> Message:
        parsed = _parsed(_value(turn, where), f"{where}.value", _CALL_HINT)
        calls: list[JsonValue] = []
        self._waiting = []
        for call in parsed if isinstance(parsed, list) else [parsed]:
            if not isinstance(call, dict) or not isinstance(call.get("name"), str) or "arguments" not in call:
                raise _not_json(f"{where}.value", "a call of a tool", _CALL_HINT)
            arguments = call["arguments"]
            function: JsonValue = {
                "name": call["name"],
                "arguments": arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False),
            }
            self._made += 1
            self._waiting.append(f"call_{self._made}")
            calls.append({"id": self._waiting[-1], "type": "function", "function": function})
        return Message("assistant", None, {"tool_calls": calls, **_rest(turn)})

    def _results(self, turn: Mapping[str, JsonValue], where: str) -> list[Message]:
        results = [_value(turn, where)]
        if len(self._waiting) > 1:
            results = _in_parts(results[0], len(self._waiting)) or results
        answered, self._waiting = self._waiting[: len(results)], self._waiting[len(results) :]
        if not answered:
            return [Message("tool", results[0], _rest(turn))]
        return [
            Message("tool", result, {"tool_call_id": call, **_rest(turn)})
            for call, result in zip(answered, results, strict=True)
        ]


def _in_parts(value: str, count: int) -> list[str] | None:
    """One result for each of several calls, where the text is a JSON list of so many."""
    try:
        parts = _parsed(value, "", "")
    except RowError:
        return None
    if not isinstance(parts, list) or len(parts) != count:
        return None
    return [part if isinstance(part, str) else json.dumps(part, ensure_ascii=False) for part in parts]


def _tool(tool: dict[str, JsonValue]) -> JsonValue:
    return tool if "function" in tool else {"type": "function", "function": tool}


def _value(turn: Mapping[str, JsonValue], where: str) -> str:
    if "value" not in turn:
        raise missing(f"{where}.value", turn, holder="turn", hint=_SPEAKERS_HINT)
    value = turn["value"]
    if not isinstance(value, str):
        raise wrong_type(f"{where}.value", value)
    return value


def _rest(turn: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: item for key, item in turn.items() if key not in ("from", "value")}


def _parsed(text: str, where: str, hint: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise _not_json(where, "JSON", hint) from None
    return value


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _not_json(where: str, what: str, hint: str) -> RowError:
    return RowError(f"{where} is not {what}", code="wrong_type", hint=hint)
