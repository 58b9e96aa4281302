"""A host's own words inside our messages: short, without what a terminal would obey, and without a secret."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

HIDDEN = "[secret]"
PRIVATE_HEADERS = frozenset({"authorization", "proxy-authorization", "api-key", "x-api-key", "cookie"})
"""Of a request, in lower case."""
_LIMIT = 400

# Keys by their looks: OpenAI's with the middle of it starred out too, tokens behind the word that announces them,
# JSON web tokens, and the bare 32 hexadecimal digits or 84 letters and digits of Azure's (ids have a word before them).
_SECRETS = re.compile(
    r"""
      \bsk[-_][\w*.…-]{4,}
    | (?<=\bbearer\s)[^\s'",;]+
    | (?<=\bapi-key:\s)[^\s'",;]+
    | (?<=\bapi_key=)[^\s'",;&]+
    | \bwhsec_[\w+/=]+
    | \beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?
    | [\w.+/-]{0,60}\*{3,}[\w.*+/-]{0,200}
    | (?<![\w.-])(?:[0-9a-fA-F]{32}|[0-9A-Za-z]{84})(?![\w-])
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SHORTEST_KNOWN = 4


def without_secrets(text: str, known: Iterable[str] = ()) -> str:
    """`text` with everything hidden that is one of `known`, or looks like a key."""
    for secret in known:
        if len(secret) >= _SHORTEST_KNOWN:
            text = text.replace(secret, HIDDEN)
    return _SECRETS.sub(HIDDEN, text)


def plain(text: str, *, limit: int = _LIMIT) -> str:
    """`text` on one line without control characters, cut at `limit` characters."""
    shown = text[: 2 * limit]
    if not (shown.isascii() and shown.isprintable()):
        shown = "".join(" " if char.isspace() else char for char in shown if char.isspace() or _harmless(char))
    shown = " ".join(shown.split()) if "  " in shown or shown != shown.strip() else shown
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def told(text: str, known: Iterable[str] = (), *, limit: int = _LIMIT) -> str:
    """What a host said, fit to be shown."""
    return plain(without_secrets(text[: 8 * limit], known), limit=limit)


def _harmless(char: str) -> bool:
    """No control character, none that turns the direction of writing, no half of a surrogate pair, none unassigned."""
    return unicodedata.category(char) not in {"Cc", "Cf", "Cn", "Co", "Cs"}
