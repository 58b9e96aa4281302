"""Rows side by side: an aligned table for a terminal, and one for a notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from html import escape


def printable(text: str) -> str:
    """`text` without what steers a terminal: a host's words may hold it."""
    return "".join(char if char.isprintable() else "�" for char in text)


def text_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, note: str, numbers: Collection[str] = ()
) -> str:
    """Lines of equal columns, `note` below; the columns named in `numbers` end where they end."""
    lines = [columns, *(tuple(map(printable, row)) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = (
        "  ".join(
            cell.rjust(width) if name in numbers else cell.ljust(width)
            for name, cell, width in zip(columns, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
    return "\n".join((*aligned, note))


def html_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, note: str) -> str:
    """The same as HTML, in which no cell is markup."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(printable(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{escape(note)}</p>"
