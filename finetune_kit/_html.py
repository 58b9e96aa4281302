"""Markup that no text can break: what is written into it is escaped, and what hides in a text is made visible."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

_VOID = frozenset({"br", "hr", "meta"})
_PICTURES = {"\n": "↵\n", "\r": "␍", "\t": "→\t", "\x7f": "␡"}
_JOINERS = frozenset("\u200c\u200d")  # they belong into emoji, and into the scripts of India and Iran


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, *children: str, css: str = "", attributes: Mapping[str, str] | None = None) -> Html:
    """An element around its children: those that are not `Html` are escaped."""
    given = {"class": css, **(attributes or {})} if css else attributes or {}
    opening = name + "".join(f' {key}="{_markup(value)}"' for key, value in given.items())
    return Html(f"<{opening}>" if name in _VOID else f"<{opening}>{joined(children)}</{name}>")


def joined(children: Iterable[str], between: str = "") -> Html:
    """The children one after another."""
    return Html(_markup(between).join(map(_markup, children)))


def visible(text: str, marks: Sequence[tuple[int, int]] = (), *, at_ends: bool = True) -> Html:
    """The text with the marked stretches in `<mark>`, and with what one does not see in place of itself.

    Line feeds, tabs, control characters, characters without width and odd spaces are shown everywhere; plain spaces
    where they are marked or, unless `at_ends` is false, stand at either end.
    """
    start, end = (len(text) - len(text.lstrip(" ")), len(text.rstrip(" "))) if at_ends else (0, len(text))
    pieces: list[str] = []
    inside = [False] * len(text)
    for first, last in marks:
        inside[first:last] = [True] * len(inside[first:last])
    place = 0
    while place < len(text):
        stop = place
        while stop < len(text) and inside[stop] == inside[place]:
            stop += 1
        marked = inside[place]
        shown = joined(_character(text, at, space_shown=marked or not start <= at < end) for at in range(place, stop))
        pieces.append(element("mark", shown) if marked else shown)
        place = stop
    return joined(pieces)


def _character(text: str, place: int, *, space_shown: bool) -> str:
    char = text[place]
    if char == " ":
        return _unseen("·", "space") if space_shown else char
    if char.isprintable() and unicodedata.category(char) != "Zs":
        return char
    if char in _PICTURES:
        return _unseen(_PICTURES[char], unicodedata.name(char, f"U+{ord(char):04X}"))
    if char in _JOINERS and _between_foreign(text, place):
        return char
    if ord(char) < 0x20:
        return _unseen(chr(0x2400 + ord(char)), f"U+{ord(char):04X}")
    return _unseen(f"U+{ord(char):04X}", unicodedata.name(char, "a character without a name"))


def _between_foreign(text: str, place: int) -> bool:
    before, after = text[place - 1 : place], text[place + 1 : place + 2]
    return bool(before and after) and not before.isascii() and not after.isascii()


def _unseen(shown: str, name: str) -> Html:
    return element("span", shown, css="unseen", attributes={"title": name.capitalize()})


def _markup(text: str) -> str:
    if isinstance(text, Html):
        return text
    return html.escape(text).encode("utf-8", "backslashreplace").decode()  # paths may hold bytes that are no text
