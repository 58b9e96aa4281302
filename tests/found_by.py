"""Which texts a rule finds, wherever in an example they stand."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Message
from finetune_kit.rows import Rows
from finetune_kit.validators import Issue, validate
from finetune_kit.validators.protocols import AnyValidator
from tests.rows_of import chats, completions, rows_of

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def texts_with(*fragments: str) -> st.SearchStrategy[str]:
    """Texts in which such fragments stand among others, whole or cut."""
    piece = st.sampled_from(fragments)
    cut = st.builds(lambda text, end: text[:end], piece, st.integers(0, 12))
    signs = st.sampled_from([" ", "\n", '"', "\\", "/", ": ", "，", "a", "Z", "0", "é", "\t", "- ", "`", "```\n"])
    return st.lists(piece | cut | signs | TEXTS, max_size=6).map("".join)


def issues_in(rule: AnyValidator, *texts: str) -> list[Issue]:
    """What the rule finds in completions, of which each is one of the texts."""
    rows = completions(*((f"What about {number}?", text) for number, text in enumerate(texts)))
    return list(validate(rows, [rule]).issues)


def found_by(rule: AnyValidator, texts: Sequence[str]) -> list[bool]:
    """Which of the texts the rule finds; the same wherever they stand."""
    issues = issues_in(rule, *texts)
    found = [any(issue.row == row for issue in issues) for row in range(len(texts))]
    for rows in (in_prompts(texts), in_conversations(texts)):
        assert {issue.row for issue in validate(rows, [rule]).issues} == {issue.row for issue in issues}
    return found


def in_prompts(texts: Sequence[str]) -> Rows:
    """Rows with the texts as prompts, and with metadata."""
    return rows_of(CompletionExample(text, f"It is so, {number}.", {"n": number}) for number, text in enumerate(texts))


def in_conversations(texts: Sequence[str]) -> Rows:
    """Conversations with the texts in the user's part."""
    return chats(*(_asked([{"type": "text", "text": text}]) if len(text) % 2 else _asked(text) for text in texts))


def _asked(content: str | list[JsonValue]) -> ChatExample:
    user = Message("user", content)
    return ChatExample((user, Message("assistant", "It is so.")))
