"""Objects to examples: what a row means is decided here, for JSON Lines and for records in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from finetune_kit.errors import ColumnError, RowError
from finetune_kit.readers.columns import Fields, choose_fields, joined, prompt_column, shown
from finetune_kit.readers.llama_factory import LLAMA_FACTORY_NOTE, has_valued_parts, llama_factory
from finetune_kit.readers.preferences import PairKeys, is_preference, preference
from finetune_kit.readers.refusals import missing, wrong_type
from finetune_kit.readers.sharegpt import SHAREGPT_NOTE, sharegpt
from finetune_kit.readers.turns import chat
from finetune_kit.records import CompletionExample, Example, Kind

ROW_LISTS = frozenset({"messages", "conversations", "tools", "functions"})
"""Keys of a row whose values are lists of objects: an object with one of them is a row, not a wrapper around rows."""

_ALPACA = "instruction"
_ALPACA_LOST = ("history", "system")


class Shape:
    """How objects become examples; the columns are settled by the first object that has them."""

    def __init__(self, *, prompt: str | None, completion: str | None) -> None:
        self._prompt = prompt
        self._completion = completion
        self._fields: Fields | None = None
        self._turns: Literal["messages", "conversations"] = "messages"
        self._valued_parts = False
        self._pair: PairKeys | None = None

    def columns(self, kind: Kind | None) -> dict[str, str]:
        """Which key became which field, in rows of `kind`."""
        if kind == "chat":
            return {"messages": self._turns}
        if kind == "preference":
            return {} if self._pair is None else self._pair.as_mapping()
        return {} if self._fields is None else self._fields.as_mapping()

    def notes(self, kind: Kind | None) -> tuple[str, ...]:
        """What was guessed, in rows of `kind`."""
        if kind == "chat":
            if self._valued_parts:
                return (LLAMA_FACTORY_NOTE,)
            return (SHAREGPT_NOTE,) if self._turns == "conversations" else ()
        if kind == "preference":
            return () if self._pair is None else self._pair.notes()
        return () if self._fields is None else self._fields.notes

    def pair_keys(self) -> tuple[str, str] | None:
        """The keys of prompt and completion, once a row has settled them and nothing else belongs to the prompt."""
        if self._fields is None or self._fields.context is not None:
            return None
        return self._fields.prompt, self._fields.completion

    def takes_chats(self) -> bool:
        """Whether a row with nothing but `messages` is a conversation: no columns were named, by anybody or a row."""
        return self._prompt is None and self._completion is None and self._fields is None

    def example(self, row: Mapping[str, Any]) -> Example:
        """The example that `row` is; `RowError` where it is none."""
        fields = self._fields
        if fields is None or fields.prompt not in row:
            if self._prompt is None and self._completion is None:
                if is_preference(row):
                    example, self._pair = preference(row, _question)
                    return example
                if "messages" in row:
                    return self._chat(row)
                if "conversations" in row:
                    conversation = sharegpt(row)
                    self._turns = "conversations"
                    return conversation
            fields = fields or self._choose(row)
        pair = _completion(row, fields)
        self._fields = fields  # only now: a row that was refused must not settle the columns of all others
        return pair

    def _chat(self, row: Mapping[str, Any]) -> Example:
        try:
            return chat(row)
        except RowError:
            if not has_valued_parts(row["messages"]):
                raise
        conversation = llama_factory(row)
        self._valued_parts = True
        return conversation

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


def _advice(prompt: str | None, completion: str | None) -> str:
    if prompt is None and completion is None:
        return "Name the keys with prompt= and completion=, or write chat rows with 'messages'"
    wanted = " and ".join(repr(name) for name in (prompt, completion) if name is not None)
    return f"You asked for {wanted}; name keys that are there"


def _completion(row: Mapping[str, Any], fields: Fields) -> CompletionExample:
    try:
        prompt, completion = row[fields.prompt], row[fields.completion]
    except KeyError as error:
        raise missing(repr(error.args[0]), row, holder="row", hint='Add it; write "" where it is empty') from None
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


def _question(row: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The prompt of a row without a completion, and the keys that it takes, its own first."""
    name, context = prompt_column([str(key) for key in row])
    if name is None:
        raise missing("the prompt", row, holder="row", hint="Add it as 'prompt', text or a list of messages")
    prompt = row[name]
    if not isinstance(prompt, str):
        raise wrong_type(name, prompt)
    if context is None:
        return prompt, [name]
    return joined(prompt, _alpaca_context(row, context)), [name, context]


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
