"""The data's own words inside a message."""

from __future__ import annotations

_LIMIT = 40


def quoted(text: str) -> str:
    """The text in quotes, shortened, with nothing in it that a terminal would obey."""
    return repr(text if len(text) <= _LIMIT else text[: _LIMIT - 1] + "…")
