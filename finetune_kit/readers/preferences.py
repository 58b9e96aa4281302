"""Preference pairs: one question and two answers, in the forms of OpenAI, TRL and LLaMA-Factory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, cast

from finetune_kit.errors import RowError
from finetune_kit.readers.llama_factory import LLAMA_FACTORY_NOTE, llama_factory_messages
from finetune_kit.readers.refusals import missing, wrong_type
from finetune_kit.readers.sharegpt import sharegpt_messages, sharegpt_tools, turn_in
from finetune_kit.readers.turns import HOST_KEYS, messages_in
from finetune_kit.records import JsonValue, Message, PreferenceExample

# The API's names, and those of its first version.
_HOST_PAIRS = (("preferred_output", "non_preferred_output"), ("preferred_completion", "non_preferred_completion"))
_CHOSEN = ("chosen", "rejected")
_CHOSEN_MESSAGES = ("chosen_messages", "rejected_messages")
_ONE = "A preference pair has one input and two answers to it"
_DIALOGUE = "\n\nHuman:"


@dataclass(frozen=True, slots=True)
class PairKeys:
    """Under which keys a preference pair stood."""

    asked: str
    preferred: str
    other: str

    def as_mapping(self) -> dict[str, str]:
        """Field to key, the fields by the API's names."""
        return {"input": self.asked, "preferred_output": self.preferred, "non_preferred_output": self.other}

    def notes(self) -> tuple[str, ...]:
        """What was guessed."""
        if (self.preferred, self.other) in _HOST_PAIRS:
            return ()
        asked = "the messages that both share" if self.asked == self.preferred else repr(self.asked)
        more = (LLAMA_FACTORY_NOTE,) if self.preferred in _CHOSEN_MESSAGES else ()
        return (
            f"The rows are preference pairs: {asked} was read as the input, {self.preferred!r} as preferred.",
            *more,
        )


def is_preference(row: Mapping[str, object]) -> bool:
    """Whether the row is meant to be a preference pair."""
    if all(isinstance(row.get(key), str | list | tuple | Mapping) for key in _CHOSEN):
        return True
    if all(isinstance(row.get(key), list) for key in _CHOSEN_MESSAGES):
        return not any(key in row for key in ("messages", "conversations", "prompt", *_CHOSEN))
    return any(preferred in row or other in row for preferred, other in _HOST_PAIRS)


def preference(
    row: Mapping[str, Any], question: Callable[[Mapping[str, Any]], tuple[str, list[str]]]
) -> tuple[PreferenceExample, PairKeys]:
    """The pair that `row` is; `question` finds a prompt that is text, and the keys that it takes."""
    for preferred, other in _HOST_PAIRS:
        if preferred in row or other in row:
            return _of_host(row, preferred, other), PairKeys("input", preferred, other)
    if "messages" in row:
        return _answered(row, messages_in(row["messages"], "messages"), "messages")
    if "conversations" in row:
        return _answered(row, sharegpt_messages(row), "conversations", "system", "tools", offered=sharegpt_tools(row))
    if isinstance(row.get("prompt"), list | tuple):
        return _answered(row, messages_in(row["prompt"], "prompt"), "prompt")
    if (whole := _whole_sides(row)) is not None:
        return _whole_conversations(row, whole)
    if "prompt" not in row and any(isinstance(row[key], str) and _DIALOGUE in row[key] for key in _CHOSEN):
        raise RowError(
            "'chosen' and 'rejected' are dialogues written as one text",
            code="wrong_type",
            hint="Part them into prompt, chosen and rejected, or into lists of messages",
        )
    text, keys = question(row)
    return _answered(row, (Message("user", text),), *keys)


def _of_host(row: Mapping[str, Any], preferred: str, other: str) -> PreferenceExample:
    for key in ("input", preferred, other):
        if key not in row:
            raise missing(key, row, holder="row", hint=_ONE)
    asked = row["input"]
    if not isinstance(asked, Mapping):
        raise wrong_type("input", asked, hint="It must be an object with messages")
    asked = cast("Mapping[str, JsonValue]", asked)
    if "messages" not in asked:
        raise missing("input.messages", asked, holder="input", hint="Put the conversation so far there")
    more = {key: value for key, value in asked.items() if key != "messages"}
    unknown = next((key for key in more if key not in HOST_KEYS), None)
    if unknown is not None:
        raise RowError(
            f"input.{unknown} is unknown to hosts",
            code="wrong_type",
            hint=f"Beside messages there can be {', '.join(sorted(HOST_KEYS))}; put other values beside 'input'",
        )
    return PreferenceExample(
        messages_in(asked["messages"], "input.messages"),
        messages_in(row[preferred], preferred),
        messages_in(row[other], other),
        more,
        {key: value for key, value in row.items() if key not in ("input", preferred, other)},
    )


def _answered(
    row: Mapping[str, Any], asked: tuple[Message, ...], *keys: str, offered: Mapping[str, JsonValue] | None = None
) -> tuple[PreferenceExample, PairKeys]:
    preferred, other = (_answer(row[key], key) for key in _CHOSEN)
    more, metadata = _rest(row, keys)
    return PreferenceExample(asked, preferred, other, {**more, **(offered or {})}, metadata), PairKeys(
        keys[0], *_CHOSEN
    )


def _rest(row: Mapping[str, Any], taken: tuple[str, ...]) -> tuple[dict[str, JsonValue], dict[str, JsonValue]]:
    """What hosts know beside the messages, and the metadata."""
    left = {key: value for key, value in row.items() if key not in taken and key not in _CHOSEN}
    return (
        {key: value for key, value in left.items() if key in HOST_KEYS},
        {key: value for key, value in left.items() if key not in HOST_KEYS},
    )


def _answer(value: object, where: str) -> tuple[Message, ...]:
    if isinstance(value, str):
        return (Message("assistant", value),)
    if isinstance(value, Mapping):
        return (turn_in(cast("object", value), where),)
    return messages_in(value, where)


def _whole_sides(row: Mapping[str, Any]) -> dict[str, tuple[Message, ...]] | None:
    """Both conversations by their keys, where the row holds whole ones."""
    if _CHOSEN[0] not in row:
        return {key: llama_factory_messages(row[key], key) for key in _CHOSEN_MESSAGES}
    if all(isinstance(row[key], list | tuple) and len(row[key]) > 1 for key in _CHOSEN):
        return {key: messages_in(row[key], key) for key in _CHOSEN}
    return None


def _whole_conversations(
    row: Mapping[str, Any], sides: dict[str, tuple[Message, ...]]
) -> tuple[PreferenceExample, PairKeys]:
    """Two conversations that part at the answer, as TRL calls an implicit prompt."""
    keys, (chosen, rejected) = list(sides), sides.values()
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(chosen, rejected, strict=False)))
    shared = min(shared, len(chosen) - 1, len(rejected) - 1)  # the last messages are the answers, even equal ones
    asked = chosen[:shared]
    if all(message.role in ("system", "developer") for message in asked):
        raise RowError(
            f"{keys[0]!r} and {keys[1]!r} have no question in common",
            code="wrong_type",
            hint="Both begin with the same messages and end with an answer each; or add 'prompt'",
        )
    prompt = row.get("prompt")
    if prompt is not None and (
        not isinstance(prompt, str) or prompt.strip() not in {message.text.strip() for message in asked}
    ):
        raise RowError(
            f"'prompt' is not among the messages that {keys[0]!r} and {keys[1]!r} have in common",
            code="wrong_type",
            hint="Leave it out, or write chosen and rejected without the question",
        )
    more, metadata = _rest(row, ("prompt", *keys))
    if isinstance(more.get("tools"), str):  # LLaMA-Factory writes them as the text of a list
        more = {**more, **sharegpt_tools(row)}
    return PreferenceExample(asked, chosen[shared:], rejected[shared:], more, metadata), PairKeys(keys[0], *keys)
