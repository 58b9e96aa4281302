"""Characters that nobody sees and nobody meant: safe to take away."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit.fixes.texts import Where, with_texts
from finetune_kit.records import Example
from finetune_kit.rows import Batch

# Not the line feeds and tabs, not U+001C to U+001F, which separate words, and not the escape, which begins a sequence.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x7f]")
# As they stand in JSON.
_ESCAPED = re.compile(rb"\\u00[01]|\\b|\x7f")

_INVISIBLE = "\ufeff\u200b\u2060"
"""Byte-order mark, zero-width space, word joiner; the zero-width joiners can be part of a word or an emoji."""
_EDGE = _INVISIBLE + "".join(char for char in map(chr, range(0x3001)) if char.isspace())
_DELETED = dict.fromkeys(map(ord, _INVISIBLE))

_TRAILING = " \t\r\u00a0\u3000"
_BEFORE_QUOTE = (b' "', b'\\t"', b'\\r"', '\u00a0"'.encode(), '\u3000"'.encode())


@dataclass(frozen=True, slots=True)
class ControlCharacters:
    """Control characters such as NUL and backspace are taken out, wherever they stand."""

    code = "control_characters"
    safe = True
    description = "take the control characters out"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Rows with such a character, or with an escaped one."""
        raw = batch.raw
        return raw.rows(_ESCAPED) if b"\\u00" in raw or b"\\b" in raw or b"\x7f" in raw else ()

    def mend(self, example: Example) -> Example:
        """The example without them."""
        return with_texts(example, lambda text: _CONTROL.sub("", text))


@dataclass(frozen=True, slots=True)
class InvisibleEdges:
    """Byte-order marks and zero-width spaces are taken off the beginning and the end of each text."""

    code = "invisible_characters"
    safe = True
    description = "take byte-order marks and zero-width spaces off the edges"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Rows that hold one anywhere."""
        return batch.raw.rows_with(*(char.encode() for char in _INVISIBLE))

    def mend(self, example: Example) -> Example:
        """The example without them at the edges of its texts."""
        return with_texts(example, _without_invisible_edges)


def _without_invisible_edges(text: str) -> str:
    start = len(text) - len(text.lstrip(_EDGE))
    end = max(start, len(text.rstrip(_EDGE)))
    return text[:start].translate(_DELETED) + text[start:end] + text[end:].translate(_DELETED)


@dataclass(frozen=True, slots=True)
class TrailingSpace:
    """Spaces, tabs and carriage returns are taken off the end of what the model learns to write.

    A line feed stays, which may be a stop sequence; so does white space before a text, which may be an indent or the
    leading space of a completion, and behind a prompt, where it may be a separator.
    """

    where: Where = "completion"

    code = "trailing_space"
    safe = True
    description = "take spaces off the end of the completion"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Rows in which any text ends so."""
        return batch.raw.rows_with(*_BEFORE_QUOTE)

    def mend(self, example: Example) -> Example:
        """The example without them, unless nothing would be left."""
        return with_texts(example, lambda text: text.rstrip(_TRAILING) if not text.isspace() else text, self.where)
