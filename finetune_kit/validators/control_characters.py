"""Characters that steer a terminal or a printer and say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import texts_of

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
"""All but tab, line feed and carriage return."""

_ESCAPED = re.compile(rb"\\(?:u00|[bf])")
_DELETE = b"\x7f"
_SECOND_LEAD, _SECOND = b"\xc2", re.compile(rb"\xc2[\x80-\x9f]")

_NAMES = {
    0x00: "NUL",
    0x07: "bell",
    0x08: "backspace",
    0x0B: "vertical tab",
    0x0C: "form feed",
    0x1B: "escape",
    0x7F: "delete",
}
_SECOND_SET = 0x80
# Those that `clean` takes out unasked: others may part words, or belong to a longer sequence.
_FIXED, _FIX = re.compile("[\x00-\x08\x0e-\x1a\x7f]"), "take the control characters out"
_HINT = "Delete such characters, or put a line break where one was meant."
_HINT_SECOND = (
    "They are most often the quotation marks and dashes of cp1252, read as Latin-1: take the text from its source "
    "again, and read it as cp1252."
)


@dataclass(frozen=True, slots=True)
class ControlCharacters:
    """Control characters come from terminals, printers and broken exports; the model learns to write them.

    Bad:  `{"prompt": "Where is my parcel?\\u0000", "completion": "\\u001b[1mAt your neighbour's.\\u001b[0m"}`
    Good: `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`
    """

    code = "control_characters"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each text that holds any; tab, line feed and carriage return are none."""
        return [
            self._issue(row, field, found)
            for row in _candidates(batch)
            for field, text in texts_of(batch.example(row))
            if (found := CONTROL.search(text))
        ]

    def _issue(self, row: int, field: str, found: re.Match[str]) -> Issue:
        number = ord(found.group())
        name = f" ({_NAMES[number]})" if number in _NAMES else ""
        message, hint = f"the text holds the control character U+{number:04X}{name}", _HINT
        if number >= _SECOND_SET:
            message, hint = "the text holds control characters between U+0080 and U+009F", _HINT_SECOND
        return Issue(
            self.code,
            Severity.WARNING,
            message,
            row=row,
            field=field,
            hint=hint,
            fix=_FIX if _FIXED.match(found.group()) else None,
            span=found.span(),
        )


def _candidates(batch: Batch) -> list[int]:
    raw = batch.raw
    found: list[int] = []
    if b"\\" in raw:
        found += raw.rows(_ESCAPED)
    if _DELETE in raw:
        found += raw.rows_with(_DELETE)
    if _SECOND_LEAD in raw:
        found += raw.rows(_SECOND)
    return sorted(set(found)) if found else found
