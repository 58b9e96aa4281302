"""Texts that were damaged before they came here: characters lost to U+FFFD, and UTF-8 that was once read as cp1252."""

from __future__ import annotations

import re
from collections.abc import Sequence

_LOST = "\ufffd".encode()
_LATIN_LEAD = b"\xc3"  # in UTF-8, of every character that such misread text begins with

# What the bytes 0x80 to 0xbf are in cp1252, and in Latin-1 where cp1252 has nothing.
_REST = "[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]"
# é is "Ã©", a no-break space "Â\xa0", a curly quote "â€œ". Of Chinese, Cyrillic and Greek two in a row, because
# one alone can be honest: "Ñ“" is an N with a quote behind it, "é»…" the end of a French quotation.
_MISREAD = re.compile(f"[ÂÃ]{_REST}|â[€\x80]{_REST}|(?:[ã-é]{_REST}{_REST}){{2}}|(?:[ÐÑÎÏ]{_REST}){{2}}")
# All characters that are two to four bytes in UTF-8.
_SEQUENCE = re.compile(f"[\xc2-\xdf]{_REST}|[\xe0-\xef]{_REST}{_REST}|[\xf0-\xf4]{_REST}{_REST}{_REST}")


def may_be_damaged(written: bytes, *texts: Sequence[str]) -> bool:
    """Whether texts, given as they are and as UTF-8 together, are worth a closer look; almost free."""
    # A search for one byte takes no time, one for the three bytes of U+FFFD as long as all else in Chinese text.
    if _LATIN_LEAD in written:
        return True
    return any("\ufffd" in "".join([text for text in part if not text.isascii()]) for part in texts)


def is_damaged(text: bytes) -> bool:
    """Whether there is damage in UTF-8 text."""
    if _LOST in text:
        return True
    return _LATIN_LEAD in text and _MISREAD.search(text.decode("utf-8", "ignore")) is not None


def mended(text: str) -> str:
    """The text with what was misread as it was meant, where that can be told; lost characters stay lost."""
    return _SEQUENCE.sub(_as_meant, text) if _MISREAD.search(text) else text


def _as_meant(found: re.Match[str]) -> str:
    misread: str = found[0]
    try:
        return b"".join(map(_byte_of, misread)).decode()
    except UnicodeDecodeError:
        return misread


def _byte_of(char: str) -> bytes:
    try:
        return char.encode("latin-1")
    except UnicodeEncodeError:
        return char.encode("cp1252")


def damage_in(text: str) -> tuple[int, int] | None:
    """Where the first damage stands, as start and end in characters."""
    lost = text.find("\ufffd")
    if lost >= 0:
        return lost, lost + 1
    found = _MISREAD.search(text)
    return None if found is None else found.span()
