"""Text in blocks of whole lines, many at once, whether as characters or as bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, AnyStr, cast

TEXT_ENDS = ("\n", "\r")
BYTE_ENDS = (b"\n", b"\r")


def whole_lines(
    pieces: Iterable[AnyStr],
    ends: tuple[AnyStr, AnyStr],
    *,
    longest: int,
    too_long: Callable[[], Exception],
) -> Iterator[AnyStr]:
    """The text of `pieces` cut anew where lines end: by a line feed, a carriage return or both.

    A line that goes on for `longest` raises what `too_long` gives, before it fills the memory.
    """
    line_feed, carriage_return = ends
    join: Callable[[list[AnyStr]], AnyStr] = cast("Any", line_feed[:0]).join
    waiting: list[AnyStr] = []
    size = 0
    for piece in pieces:
        # A carriage return at the end of the piece may be one half of a line end.
        cut = max(piece.rfind(line_feed), piece.rfind(carriage_return, 0, len(piece) - 1)) + 1
        waiting.append(piece[:cut] if cut else piece)
        if cut:
            yield join(waiting)
            waiting, size = [piece[cut:]], 0
        size += len(piece) - cut
        if size >= longest:
            raise too_long()
    if rest := join(waiting):
        yield rest


def lines_of(block: str) -> list[str]:
    """The lines of a block, their ends kept."""
    if "\r" in block:
        return io.StringIO(block, newline="").readlines()
    lines = block.split("\n")
    last = lines.pop()
    lines = [line + "\n" for line in lines]
    return [*lines, last] if last else lines


def line_ends(data: bytes, start: int, stop: int) -> int:
    """How many lines end there: by a line feed, a carriage return or both."""
    count = data.count(b"\n", start, stop)
    returns = data.count(b"\r", start, stop)
    return count + returns - data.count(b"\r\n", start, stop) if returns else count
