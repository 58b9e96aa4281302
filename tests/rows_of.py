"""Small data sets for tests, real rows in a real store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Message
from finetune_kit.rows import Rows, RowsBuilder

PAIRS = (
    *((f"Where is parcel {number}?", "track") for number in range(10)),
    *((f"Give me the money for order {number} back", "refund") for number in range(10)),
)
"""Twenty questions with two labels, enough to train on."""


def completions(*pairs: tuple[str, str], path: str | None = "support.csv") -> Rows:
    """Rows of prompt and completion; line 1 of the file is its header."""
    return rows_of((CompletionExample(prompt, completion) for prompt, completion in pairs), path=path)


def rows_of(examples: Iterable[CompletionExample], *, path: str | None = "support.csv") -> Rows:
    """Rows of such examples."""
    builder = RowsBuilder("completion", path=path)
    for line, example in enumerate(examples, 2):
        builder.add(example, line=line)
    return builder.build()


def conversation(*turns: tuple[str, str | None], more: Mapping[str, JsonValue] | None = None) -> ChatExample:
    """A chat of roles and contents; `more` belongs to the last message."""
    *earlier, (role, content) = turns
    return ChatExample((*(Message(*turn) for turn in earlier), Message(role, content, more or {})))


def chats(*examples: ChatExample, path: str | None = "chat.jsonl") -> Rows:
    """Rows of conversations."""
    builder = RowsBuilder("chat", path=path)
    for line, example in enumerate(examples, 1):
        builder.add(example, line=line)
    return builder.build()


def many(rows: int, *, completion: str = "At your neighbour's, {}.") -> Rows:
    """Distinct examples."""
    return completions(*((f"Where is parcel {number}?", completion.format(number)) for number in range(rows)))
