"""Conversations for tests, written as the JSON that hosts take, and what a rule finds in them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from finetune_kit.records import ChatExample, Example, Message, PreferenceExample
from finetune_kit.rows import Rows, RowsBuilder
from finetune_kit.validators import AnyValidator, validate

USER: dict[str, Any] = {"role": "user", "content": "Where is my parcel?"}
ANSWER: dict[str, Any] = {"role": "assistant", "content": "At your neighbour's."}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {"name": "track", "parameters": {"type": "object", "properties": {"parcel": {"type": "string"}}}},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
"""Any value that JSON can hold."""


def message(turn: dict[str, Any]) -> Message:
    """One turn from its JSON."""
    return Message(turn["role"], turn.get("content"), {k: v for k, v in turn.items() if k not in ("role", "content")})


def chat(*turns: dict[str, Any], **more: Any) -> ChatExample:
    """A conversation; `more` belongs to the row."""
    return ChatExample(tuple(map(message, turns)), more)


def pair(*asked: dict[str, Any], chosen: dict[str, Any] = ANSWER, **more: Any) -> PreferenceExample:
    """A question with an answer to prefer to another."""
    other = message({"role": "assistant", "content": "No idea."})
    return PreferenceExample(tuple(map(message, asked)), (message(chosen),), (other,), more)


def rows(*examples: Example) -> Rows:
    """Conversations or pairs in a real store."""
    builder = RowsBuilder(examples[0].kind, path="chat.jsonl")
    for line, example in enumerate(examples, 1):
        builder.add(example, line=line)
    return builder.build()


def found(rule: AnyValidator, *examples: Example) -> list[tuple[str, str | None, str]]:
    """Severity, field and message of each finding, in the order of a report; the rule itself must not fail."""
    report = validate(rows(*examples), [rule])
    assert "validator_failed" not in report.counts, report.summary()
    return [(str(issue.severity), issue.field, issue.message) for issue in report.issues]
