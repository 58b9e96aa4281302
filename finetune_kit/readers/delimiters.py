"""Which character separates the cells: given, or found by how well the first records fit the header."""

from __future__ import annotations

import csv
import io
import re

from finetune_kit.errors import ParameterError

DELIMITERS = (",", "\t", ";", "|")
"""What is tried when no delimiter is given; the earlier wins a tie."""

SNIFF_CHARACTERS = 1 << 16
"""How much of the text `sniff` wants to see."""

_SNIFF_RECORDS = 20
_NAMED = re.compile(r'"?sep=([^\w\s"]|\t)"?[\r\n]', re.IGNORECASE)


def check_delimiter(delimiter: str | None) -> None:
    """Refuse what the csv module cannot use as a delimiter."""
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n\0'):
        raise ParameterError(
            f"delimiter={delimiter!r} is not one character that separates cells. Pass for example ',', ';' or '\\t'.",
            parameter="delimiter",
        )


def named_in(head: str) -> str | None:
    """The delimiter that a line above the header names for Excel, as `sep=;` does, where there is such a line."""
    found = _NAMED.match(head)
    return None if found is None else found[1]


def sniff(head: str) -> str:
    """The delimiter under which the header has at least two cells and the most records are as wide as it."""
    scores = {delimiter: _fit(head, delimiter) for delimiter in DELIMITERS}
    best = max(DELIMITERS, key=lambda delimiter: scores[delimiter])
    return best if scores[best] > (0.0, 0) else ","


def _fit(head: str, delimiter: str) -> tuple[float, int]:
    widths: list[int] = []
    try:
        for cells in csv.reader(io.StringIO(head, newline=""), delimiter=delimiter):
            if cells:
                widths.append(len(cells))
            if len(widths) > _SNIFF_RECORDS:
                break
    except csv.Error:
        pass  # the reading itself will say where
    if len(head) >= SNIFF_CHARACTERS and len(widths) > 1:
        widths.pop()  # it may be cut
    if not widths or widths[0] < 2:
        return (0.0, 0)
    return (widths.count(widths[0]) / len(widths), widths[0])
