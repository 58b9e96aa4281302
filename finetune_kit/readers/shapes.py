"""Objects to examples: what a row means is decided here, for JSON Lines and for records in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from finetune_kit.errors import ColumnError, RowError
from finetune_kit.readers.columns import Fields, choose_fields, joined, shown
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Kind, Message

ROW_LISTS = frozenset({"messages", "conversations", "tools", "functions"})
"""Keys of a row whose values are lists of objects: an object with one of them is a row, not a wrapper around rows."""

_SPEAKERS = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_SHAREGPT_NOTE = "The rows are sharegpt conversations: 'human' was read as user, 'gpt' as assistant."
_ALPACA = "instruction"
_ALPACA_LOST = ("history", "system")

_HOST_KEYS = frozenset({"tools", "parallel_tool_calls", "functions", "function_call"})


class Shape:
    """How objects become examples; the columns are settled by the first object that has them."""

    def __init__(self, *, prompt: str | None, completion: str | None) -> None:
        self._prompt = prompt
        self._completion = completion
        self._fields: Fields | None = None
        self._turns: Literal["messages", "conversations"] = "messages"

    def columns(self, kind: Kind | None) -> dict[str, str]:
        """Which key became which field, in rows of `kind`."""
        if kind == "chat":
            return {"messages": self._turns}
        return {} if self._fields is None else self._fields.as_mapping()

    def notes(self, kind: Kind | None) -> tuple[str, ...]:
        """What was guessed, in rows of `kind`."""
        if kind == "chat":
            return (_SHAREGPT_NOTE,) if self._turns == "conversations" else ()
        return () if self._fields is None else self._fields.notes

    def pair_keys(self) -> tuple[str, str] | None:
        """The keys of prompt and completion, once a row has settled them and nothing else belongs to the prompt."""
        if self._fields is None or self._fields.context is not None:
            return None
        return self._fields.prompt, self._fields.completion

    def example(self, row: Mapping[str, Any]) -> Example:
        """The example that `row` is; `RowError` where it is none."""
        fields = self._fields
        if fields is None or fields.prompt not in row:
            if self._prompt is None and self._completion is None:
                if "messages" in row:
                    return _conversation(row)
                if "conversations" in row:
                    conversation = _sharegpt(row)
                    self._turns = "conversations"
                    return conversation
            fields = fields or self._choose(row)
        example = _completion(row, fields)
        self._fields = fields  # only now: a row that was refused must not settle the columns of all others
        return example

    def _choose(self, row: Mapping[str, Any]) -> Fields:
        names = [str(key) for key in row]
        texts = all(isinstance(value, str) for value in row.values())
        try:
            fields = self._choose_among(names, by_position=texts)
            if fields.prompt == _ALPACA and fields.context is None and self._prompt is None:
                return self._choose_among([*names, "input"])  # which rows leave out where it is empty
            return fields
        except ColumnError as error:
            raise RowError(
                f"there is no prompt and completion; the row has: {shown(names)}",
                code="missing_field",
                hint=_advice(self._prompt, self._completion),
            ) from error

    def _choose_among(self, names: Sequence[str], *, by_position: bool = False) -> Fields:
        return choose_fields(
            names, prompt=self._prompt, completion=self._completion, where="here", by_position=by_position
        )


def wrong_type(where: str, value: object, *, hint: str = "") -> RowError:
    """The refusal of a value that is not what it should be, naming what it is."""
    return RowError(f"{where} is {_described(value)}", code="wrong_type", hint=hint or _text_hint(value))


def _advice(prompt: str | None, completion: str | None) -> str:
    if prompt is None and completion is None:
        return "Name the keys with prompt= and completion=, or write chat rows with 'messages'"
    wanted = " and ".join(repr(name) for name in (prompt, completion) if name is not None)
    return f"You asked for {wanted}; name keys that are there"


def _conversation(row: Mapping[str, Any]) -> ChatExample:
    if not isinstance(row["messages"], list | tuple):
        raise wrong_type("messages", row["messages"], hint="It must be a list of objects with role and content")
    turns = cast("Sequence[object]", row["messages"])
    messages = tuple(_message(turn, f"messages[{number}]") for number, turn in enumerate(turns))
    more = {key: value for key, value in row.items() if key in _HOST_KEYS}
    metadata = {key: value for key, value in row.items() if key not in _HOST_KEYS and key != "messages"}
    return ChatExample(messages, more, metadata)


def _completion(row: Mapping[str, Any], fields: Fields) -> CompletionExample:
    try:
        prompt, completion = row[fields.prompt], row[fields.completion]
    except KeyError as error:
        raise RowError(
            f"{error.args[0]!r} is missing; the row has: {shown([str(key) for key in row])}",
            code="missing_field",
            hint='Add it; write "" where it is empty',
        ) from None
    if not isinstance(prompt, str):
        raise wrong_type(fields.prompt, prompt)
    if not isinstance(completion, str):
        raise wrong_type(fields.completion, completion)
    if len(row) == 2:
        return CompletionExample(prompt, completion)
    taken = (fields.prompt, fields.completion, fields.context)
    if fields.context is not None:
        prompt = joined(prompt, _alpaca_context(row, fields.context))
    metadata = {key: value for key, value in row.items() if key not in taken}
    return CompletionExample(prompt, completion, metadata)


def _alpaca_context(row: Mapping[str, Any], key: str) -> str:
    for lost in _ALPACA_LOST:
        if row.get(lost):
            raise RowError(
                f"{lost!r} holds text that belongs to the conversation",
                code="wrong_type",
                hint="Write the row as 'messages', or name prompt= and completion= to do without it",
            )
    context = row.get(key)
    if context is None or isinstance(context, str):
        return context or ""
    raise wrong_type(key, context)


def _sharegpt(row: Mapping[str, Any]) -> ChatExample:
    if not isinstance(row["conversations"], list | tuple):
        raise wrong_type("conversations", row["conversations"], hint="It must be a list of objects with from and value")
    if "chosen" in row and "rejected" in row:
        hint = "Preference pairs cannot be read yet; write the chosen answer into the conversation"
        raise RowError("this is a preference pair, with 'chosen' and 'rejected'", code="wrong_type", hint=hint)
    turns = cast("Sequence[object]", row["conversations"])
    messages = [_turn(turn, f"conversations[{number}]") for number, turn in enumerate(turns)]
    system = row.get("system")
    if system:
        if not isinstance(system, str):
            raise wrong_type("system", system)
        messages.insert(0, Message("system", system))
    if row.get("tools"):
        raise RowError(
            "'tools' of a sharegpt row cannot be read", code="wrong_type", hint="Write the row as 'messages'"
        )
    metadata = {key: value for key, value in row.items() if key not in ("conversations", "system", "tools")}
    return ChatExample(tuple(messages), metadata=metadata)


def _turn(turn: object, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise wrong_type(where, turn, hint="It must be an object with from and value")
    turn = cast("Mapping[str, JsonValue]", turn)
    if "from" not in turn and "role" in turn:
        return _message(turn, where)
    missing = [key for key in ("from", "value") if key not in turn]
    if missing:
        raise RowError(
            f"{where}.{missing[0]} is missing; the turn has: {shown([str(key) for key in turn])}",
            code="missing_field",
            hint="Each turn has from (human, gpt or system) and value",
        )
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


def _message(turn: object, where: str) -> Message:
    if not isinstance(turn, Mapping):
        raise wrong_type(where, turn, hint="It must be an object with role and content")
    turn = cast("Mapping[str, JsonValue]", turn)
    if "role" not in turn:
        raise RowError(
            f"{where}.role is missing; the message has: {shown([str(key) for key in turn])}",
            code="missing_field",
            hint="Add system, user, assistant or tool",
        )
    role, content = turn["role"], _plain(turn.get("content"))
    if not isinstance(role, str):
        raise wrong_type(f"{where}.role", role)
    if content is not None and not isinstance(content, str):
        raise wrong_type(f"{where}.content", content)
    return Message(role, content, {key: value for key, value in turn.items() if key not in ("role", "content")})


def _plain(content: JsonValue) -> JsonValue:
    """The text of a content that is one part of text; other parts are left as they are."""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        part = content[0]
        if part.keys() == {"type", "text"} and part["type"] == "text" and isinstance(part["text"], str):
            return part["text"]
    return content


def _described(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"a number ({_literal(value)})"
    if isinstance(value, str):
        return "text"
    if isinstance(value, list | tuple):
        return "a list"
    return "an object" if isinstance(value, Mapping) else f"a {type(value).__name__}"


def _text_hint(value: object) -> str:
    if value is None:
        return 'Write it as a string, "" where it is empty'
    if isinstance(value, bool | int | float):
        return f'Write it as a string: "{_literal(value)}"'
    return "Write it as one string"


def _literal(value: float) -> str:
    try:
        return json.dumps(value)[:40]
    except ValueError:  # Python writes no whole number of more than 4,300 digits
        return "very long"
