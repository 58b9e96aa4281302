"""One walk through the conversations of a batch, shared by all rules about them."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from finetune_kit.records import ChatExample, JsonValue, Kind, Message, PreferenceExample
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity

Conversation: TypeAlias = ChatExample | PreferenceExample

INSTRUCTING_ROLES = ("system", "developer")
"""Who says how to answer, and takes no turn."""


class Fault(NamedTuple):
    """What is wrong with a part of one row, before it is known which row."""

    message: str
    field: str
    hint: str
    severity: Severity = Severity.ERROR

    def issue(self, code: str, row: int) -> Issue:
        """The finding in that row."""
        return Issue(code, self.severity, self.message, row=row, field=self.field, hint=self.hint)


@dataclass(frozen=True, slots=True)
class Conversations:
    """The rows of a batch, none where they are pairs of prompt and completion."""

    rows: list[tuple[int, Conversation]]
    """Every row's number and example."""
    roles: list[tuple[str, ...]]
    """Who speaks in each; of a preference pair, in what is asked."""
    special: list[tuple[int, Conversation]]
    """Those rows in which a message holds more than a role and a text, or that bring tools."""
    texts: list[str] | None
    """What all messages say, one after the other, where none holds more than a role and a text; else None."""


def conversations(batch: Batch) -> Conversations:
    """For `Batch.view`."""
    if batch.kind == "completion":
        return Conversations([], [], [], None)
    rows = [
        (row, example)
        for row, example in enumerate(batch.examples, batch.start)
        if isinstance(example, ChatExample | PreferenceExample)
    ]
    roles = [tuple([message.role for message in example.messages]) for _, example in rows]
    texts = _plain_texts(batch.kind, rows)
    if texts is not None:
        return Conversations(rows, roles, [(row, example) for row, example in rows if example.more], texts)
    return Conversations(rows, roles, [(row, example) for row, example in rows if _is_special(example)], None)


def _plain_texts(kind: Kind, rows: list[tuple[int, Conversation]]) -> list[str] | None:
    if kind != "chat":
        return None
    turns = [message for _, example in rows for message in example.messages]
    texts = [message.content for message in turns if type(message.content) is str]
    return None if len(texts) < len(turns) or any(map(attrgetter("more"), turns)) else texts


def _is_special(example: Conversation) -> bool:
    turns = example.messages
    if isinstance(example, PreferenceExample):
        turns = (*turns, *example.preferred, *example.non_preferred)
    # A list, not a generator: this runs for every message there is.
    return bool(example.more or [None for message in turns if message.more or type(message.content) is not str])


def parts_of(example: Conversation) -> list[tuple[str, tuple[Message, ...]]]:
    """The lists of messages in an example, each with its place in the JSON object that hosts take."""
    if isinstance(example, ChatExample):
        return [("messages", example.messages)]
    return [
        ("input.messages", example.messages),
        ("preferred_output", example.preferred),
        ("non_preferred_output", example.non_preferred),
    ]


def row_field(example: Conversation, key: str) -> str:
    """Where a key stands that belongs to the row, such as `tools`."""
    return key if isinstance(example, ChatExample) else f"input.{key}"


def special_turns(batch: Batch) -> list[tuple[int, str, Message]]:
    """The row, the place and the message, of each message that holds more than a role and a text; for `Batch.view`."""
    return [
        (row, f"{name}[{place}]", message)
        for row, example in batch.view(conversations).special
        for name, turns in parts_of(example)
        for place, message in enumerate(turns)
        if message.more or type(message.content) is not str
    ]


def parts(batch: Batch) -> list[tuple[int, str, Message, list[JsonValue]]]:
    """The row, the place, the message and its content, of each message whose content is a list; for `Batch.view`."""
    return [
        (row, where, message, message.content)
        for row, where, message in batch.view(special_turns)
        if isinstance(message.content, list)
    ]


def is_given(value: JsonValue) -> bool:
    """Whether a key that may be left out holds something; null and an empty list are how programs write nothing."""
    return value is not None and value != []
