"""Rows of a batch as one piece of bytes: a needle is looked for once in all of them, and its rows are found after."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from typing import Final

# Small letters, spaces and everything beyond ASCII: nine tenths of most texts, and no mark of anything.
_PLAIN: Final = bytes([*b" ", *range(ord("a"), ord("z") + 1), *range(0x80, 0x100)])
_ROW = re.compile(rb"\n")


class RowBytes:
    """Rows one behind the other, each ended by a line feed, which stands nowhere else.

    A hit in them is a reason to look at the row, and no more: texts are escaped as in JSON, and what comes before or
    behind a text may look like a part of it.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self.data = data
        """The bytes, for `in` and `find`. One byte that is not there costs next to nothing to look for."""
        self._start = start

    def __contains__(self, needle: bytes) -> bool:
        return needle in self.data

    @cached_property
    def _ends(self) -> list[int]:
        return [found.end() for found in _ROW.finditer(self.data)]

    def lines(self) -> list[bytes]:
        """Each row by itself, without its line feed."""
        return self.data.split(b"\n")[:-1]

    def row(self, number: int) -> bytes:
        """The bytes of the row with this number."""
        place = number - self._start
        return self.data[self._ends[place - 1] if place else 0 : self._ends[place]]

    def row_at(self, offset: int) -> int:
        """The number of the row that holds this place in `data`."""
        return self._start + bisect_right(self._ends, offset)

    def rows(self, pattern: re.Pattern[bytes]) -> list[int]:
        """The numbers of the rows in which the pattern is found, in order.

        A pattern that begins with a letter is found fastest. It must not match a line feed.
        """
        found: list[int] = []
        hit = pattern.search(self.data)
        while hit:
            place = bisect_right(self._ends, hit.start())
            found.append(self._start + place)
            hit = pattern.search(self.data, self._ends[place])
        return found

    def rows_with(self, *needles: bytes) -> list[int]:
        """The numbers of the rows that hold any of these, in order."""
        here = [needle for needle in needles if needle in self.data]
        return self.rows(re.compile(b"|".join(map(re.escape, here)))) if here else []

    def marks(self) -> RowBytes:
        """What is left of the rows without small letters, spaces and characters beyond ASCII.

        That is a twentieth of most texts, so that a search costs next to nothing. What is left stands closer together:
        "As an AI", as much as "A.I", has `A` before `AI`, and "12 or 13" has `1213`.
        """
        return RowBytes(self.data.translate(None, _PLAIN), self._start)

    def translated(self, table: bytes, deleted: bytes = b"") -> RowBytes:
        """The rows with each byte replaced by that in the table, and without the deleted ones; keep the line feeds."""
        return RowBytes(self.data.translate(table, deleted), self._start)
