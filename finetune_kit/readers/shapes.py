"""Objects to examples: what a row means is decided here, for JSON Lines and for records in memory."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from finetune_kit.errors import ColumnError, RowError
from finetune_kit.readers.columns import Fields, choose_fields, shown
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Kind, Message

_HOST_KEYS = frozenset({"tools", "parallel_tool_calls", "functions", "function_call"})


class Shape:
    """How objects become examples; the columns are settled by the first object that has them."""

    def __init__(self, *, prompt: str | None, completion: str | None) -> None:
        self._prompt = prompt
        self._completion = completion
        self._fields: Fields | None = None

    def columns(self, kind: Kind | None) -> dict[str, str]:
        """Which key became which field, in rows of `kind`."""
        if kind == "chat":
            return {"messages": "messages"}
        return {} if self._fields is None else self._fields.as_mapping()

    def notes(self, kind: Kind | None) -> tuple[str, ...]:
        """What was guessed, in rows of `kind`."""
        return () if kind == "chat" or self._fields is None else self._fields.notes

    def example(self, row: Mapping[str, Any]) -> Example:
        """The example that `row` is; `RowError` where it is none."""
        fields = self._fields
        if fields is None or fields.prompt not in row:
            if self._prompt is None and self._completion is None and "messages" in row:
                return _conversation(row)
            fields = fields or self._choose(row)
        example = _completion(row, fields)
        self._fields = fields  # only now: a row that was refused must not settle the columns of all others
        return example

    def _choose(self, row: Mapping[str, Any]) -> Fields:
        names = [str(key) for key in row]
        texts = all(isinstance(value, str) for value in row.values())
        try:
            return choose_fields(
                names, prompt=self._prompt, completion=self._completion, where="here", by_position=texts
            )
        except ColumnError as error:
            raise RowError(
                f"there is no prompt and completion; the row has: {shown(names)}",
                code="missing_field",
                hint=_advice(self._prompt, self._completion),
            ) from error


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
    metadata = {key: value for key, value in row.items() if key not in (fields.prompt, fields.completion)}
    return CompletionExample(prompt, completion, metadata)


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
    role, content = turn["role"], turn.get("content")
    if not isinstance(role, str):
        raise wrong_type(f"{where}.role", role)
    if content is not None and not isinstance(content, str):
        raise wrong_type(f"{where}.content", content)
    return Message(role, content, {key: value for key, value in turn.items() if key not in ("role", "content")})


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
