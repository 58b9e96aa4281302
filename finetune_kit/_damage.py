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
