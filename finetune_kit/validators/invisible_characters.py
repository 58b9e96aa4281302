"""Characters that nobody sees, in places where no script needs them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import texts_of

_JOINERS = "\u200c\u200d"
_ZERO_WIDTH = "\u200b\u034f\u2060\u2061\u2062\u2063\u2064" + _JOINERS
_MARKS = "\u061c\u200e\u200f"
_OVERRIDES = "\u202d\u202e"
_EMBEDDINGS = "\u202a\u202b\u202c\u2066\u2067\u2068\u2069"
_SHAPING = "".join(map(chr, range(0x206A, 0x2070)))
_NOTES = "\ufff9\ufffa\ufffb"
_TAGS = "\U000e0000-\U000e007f"
_SELECTORS = "\U000e0100-\U000e01ef"

INVISIBLE = re.compile(
    f"[\xad\ufeff{_ZERO_WIDTH}{_MARKS}{_OVERRIDES}{_EMBEDDINGS}{_SHAPING}{_NOTES}{_TAGS}]|[{_SELECTORS}]{{2,}}"
)
"""What may be too much; whether it is depends on its neighbours."""

_KINDS = {
    "\xad": "a soft hyphen",
    "\ufeff": "a byte-order mark inside the text",
    **dict.fromkeys(_ZERO_WIDTH, "a zero-width character"),
    **dict.fromkeys(_MARKS + _OVERRIDES + _EMBEDDINGS + _SHAPING, "an invisible mark of writing direction"),
    **dict.fromkeys(_NOTES, "an invisible annotation mark"),
}
_FIXED, _FIX = "\ufeff\u200b\u2060", "take byte-order marks and zero-width spaces off the edges"
_HIDDEN = "hidden text, written in characters that nobody sees"

# In UTF-8, by first bytes, of which most batches hold none.
_BYTES = (
    (b"\xe2", re.compile(rb"\xe2(?:\x80[\x8b-\x8f\xaa-\xae]|\x81[\xa0-\xaf])")),
    (b"\xc2", re.compile(rb"\xc2\xad")),
    (b"\xef", re.compile(rb"\xef(?:\xbb\xbf|\xbf[\xb9-\xbb])")),
    (b"\xf3", re.compile(rb"\xf3\xa0[\x80\x81\x84-\x87]")),
    (b"\xcd", re.compile(rb"\xcd\x8f")),
    (b"\xd8", re.compile(rb"\xd8\x9c")),
)

_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
# Arabic and its relatives, those of India, Tibetan, Khmer and Mongolian join and part letters by them.
_JOINED_SCRIPT = re.compile("[\u0600-\u08ff\u0900-\u0fff\u1000-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc]")
# Thai, Lao, Tibetan, Burmese and Khmer have no spaces and part words by U+200B.
_UNSPACED_SCRIPT = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\ua9e0-\uaa7f]")
_PICTURE = re.compile("[\u2190-\u2bff\u3030\u303d\u3297\u3299\ufe0f\u20e3\xa9\xae\U0001f000-\U0001faff]")
_BLACK_FLAG = "\U0001f3f4"
_FLAG = re.compile(f"{_BLACK_FLAG}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{{1,6}}\U000e007f")


@dataclass(frozen=True, slots=True)
class InvisibleCharacters:
    """Invisible characters make equal words different to the model, and can hide instructions in a text.

    Bad:  `{"prompt": "Where is my par\\u200bcel?", "completion": "\\ufeffAt your neighbour's."}`
    Good: `{"prompt": "Where is my parcel? 👩\\u200d🔧", "completion": "At your neighbour's."}`
    """

    code = "invisible_characters"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each text that holds any, but those in emoji and in scripts that are written with them."""
        return [
            self._issue(row, field, found, len(text))
            for row in _candidates(batch)
            for field, text in texts_of(batch.example(row))
            if (found := next(too_much(text), None))
        ]

    def _issue(self, row: int, field: str, found: re.Match[str], length: int) -> Issue:
        at_edge = found.group() in _FIXED and (found.start() == 0 or found.end() == length)
        return Issue(
            self.code,
            Severity.WARNING,
            f"the text holds {_KINDS.get(found.group(), _HIDDEN)}",
            row=row,
            field=field,
            hint="Delete such characters; they often come from web pages and word processors.",
            fix=_FIX if at_edge else None,
            span=found.span(),
        )


def too_much(text: str) -> Iterator[re.Match[str]]:
    """The invisible characters that no script and no emoji around them needs."""
    flags = [found.span() for found in _FLAG.finditer(text)] if _BLACK_FLAG in text else []
    right_to_left: bool | None = None
    for found in INVISIBLE.finditer(text):
        char = found.group()
        if char in _MARKS or char in _EMBEDDINGS:
            if right_to_left is None:
                right_to_left = _RIGHT_TO_LEFT.search(text) is not None
            if right_to_left:
                continue
        elif char in _JOINERS or char == "\u200b":
            if _has_use(char, text[max(0, found.start() - 1) : found.end() + 1]):
                continue
        elif any(start <= found.start() < stop for start, stop in flags):
            continue
        yield found


def _has_use(char: str, around: str) -> bool:
    if char == "\u200b":
        return _UNSPACED_SCRIPT.search(around) is not None
    if _JOINED_SCRIPT.search(around):
        return True
    return char == "\u200d" and len(around) == 3 and all(_PICTURE.match(side) for side in (around[0], around[2]))


def _candidates(batch: Batch) -> list[int]:
    raw = batch.raw
    found = [row for lead, pattern in _BYTES if lead in raw for row in raw.rows(pattern)]
    return sorted(set(found)) if found else found
