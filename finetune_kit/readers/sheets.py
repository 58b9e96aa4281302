"""Workbooks by python-calamine: .xlsx, .xlsm, .xlsb, .xls and .ods, their cells as a person reads them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BufferedReader
from itertools import chain

from finetune_kit.errors import EmptyDataError, FormatError, RowError
from finetune_kit.readers.cells import Cells, cells_under
from finetune_kit.readers.columns import header_names, numbered_names, shown
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.markup import markup_in
from finetune_kit.readers.opening import PathLike, is_workbook, open_source
from finetune_kit.readers.workbook import Part, Workbook, open_workbook

_HEAD_BYTES = 1024
_SHEETS_SHOWN = 10


def read_xlsx(
    path: PathLike,
    *,
    sheet: str | int | None = None,
    prompt: str | None = None,
    completion: str | None = None,
    header: bool = True,
) -> ReadResult:
    """Read the table in one sheet; its header is the first row that is not blank.

    Without a `header` the columns are called "column 1", "column 2" and so on.

    `sheet` is a name or a number counted from 1; without it, the first visible sheet that holds anything is read.
    Texts stay as typed, "01" and "NA" included. Dates read 2024-01-05, times 13:30:00, numbers 7 and 0.1, truth values
    TRUE and FALSE. In .xlsx files percentages read 12.5%, never rounded, and errors as they show, such as #N/A; in
    those of other kinds the one reads 0.125, and the other is empty. Formats such as a currency's are not seen.
    """
    name = os.fsdecode(path)
    with open_source(path, workbooks=True) as file:
        return pour_workbook(file, name, sheet=sheet, prompt=prompt, completion=completion, header=header)


def pour_workbook(
    file: BufferedReader,
    name: str,
    *,
    sheet: str | int | None,
    prompt: str | None,
    completion: str | None,
    header: bool,
) -> ReadResult:
    """Read the workbook in an open file."""
    _check_content(file.peek(_HEAD_BYTES)[:_HEAD_BYTES], name)
    intake = Intake(name)
    with open_workbook(file, path=name, sheet=sheet) as book:
        parts = _from_first_row(book.rows())
        first = next(parts, None)
        if first is None:
            raise _empty(name, book, "there is nothing in the sheet")
        line, rows = first
        names = header_names(rows[0], path=name, row=line) if header else numbered_names(len(rows[0]))
        columns = cells_under(names, prompt=prompt, completion=completion, where=name)
        _pour(chain([(line + header, rows[header:])], parts), len(names), columns, into=intake)
    if not intake.rows_in:
        raise _empty(name, book, f"there is a header ({shown(names)}) but no row under it")
    notes = (*_sheet_notes(book, told=sheet is not None), *columns.notes())
    return intake.finish(Understanding(format=book.format, columns=columns.columns(), notes=notes))


def _from_first_row(parts: Iterator[Part]) -> Iterator[Part]:
    """The parts from the first row that is not blank."""
    for start, rows in parts:
        first = next((number for number, cells in enumerate(rows) if not _is_blank(cells)), None)
        if first is not None:
            yield start + first, rows[first:]
            yield from parts


def _pour(parts: Iterable[Part], width: int, columns: Cells, *, into: Intake) -> None:
    """Hand over all rows that are not blank, those of a part at once where each is as wide as the header."""
    for start, rows in parts:
        pairs = columns.together(rows) if _are_plain(rows, width) else None
        if pairs is not None and all(map(str.strip, pairs.prompts)):  # else some row may be blank
            into.accept_pairs(pairs, lines=range(start, start + len(rows)), raw=rows.__getitem__)
            continue
        for line, cells in enumerate(rows, start):
            if not _is_blank(cells):
                _pour_one(cells, width, columns, line=line, into=into)


def _are_plain(rows: list[list[str]], width: int) -> bool:
    narrowest = min(map(len, rows), default=0)
    return narrowest >= width and (
        {*map(len, rows)} == {width} or not any(cell for cells in rows for cell in cells[width:])
    )


def _pour_one(cells: list[str], width: int, columns: Cells, *, line: int, into: Intake) -> None:
    try:
        example = columns.example(cells)
    except RowError as error:
        into.refuse(error, line=line, raw=cells)
        return
    beyond = {f"column {number}": cell for number, cell in enumerate(cells[width:], width + 1) if cell}
    if beyond:
        example = replace(example, metadata={**example.metadata, **beyond})
    into.accept(example, line=line, raw=cells)


def _is_blank(cells: list[str]) -> bool:
    return not any(cell and not cell.isspace() for cell in cells)


def _check_content(head: bytes, name: str) -> None:
    """Call a file by its name where it is no workbook, whatever its suffix says."""
    if is_workbook(head):
        return
    markup = markup_in(head)
    if markup is not None:
        what = markup
    elif head.startswith((b"\x09\x02", b"\x09\x04", b"\x09\x08")):
        what = "a workbook of the early nineties. Open it in a spreadsheet program, and save it as .xlsx"
    elif not head.strip(b"\0"):
        what = "a file of NUL bytes, as a broken copy leaves. Fetch it again"
    else:
        what = "not a workbook, whatever its name says. If it is text, Dataset.from_file finds out which kind"
    raise FormatError(f"{name}: this is {what}.", path=name)


def _empty(name: str, book: Workbook, what: str) -> EmptyDataError:
    full = [sheet for sheet, rows in book.others.items() if rows]
    hint = f"There are rows in {shown(full)}: pass sheet=" if full else "Check the export"
    return EmptyDataError(f"{name} sheet {book.sheet!r}: {what}. {hint}.", path=name)


def _sheet_notes(book: Workbook, *, told: bool) -> tuple[str, ...]:
    notes: list[str] = []
    full = {sheet: rows for sheet, rows in book.others.items() if rows}
    if full:
        listed = [f"{shown([sheet])} ({rows:,})" for sheet, rows in list(full.items())[:_SHEETS_SHOWN]]
        listed += [f"{len(full) - _SHEETS_SHOWN} more"] if len(full) > _SHEETS_SHOWN else []
        choose = "" if told else " Pass sheet= to choose."
        notes.append(
            f"The sheet {book.sheet!r} was read. Other sheets hold rows that were not: {', '.join(listed)}.{choose}"
        )
    if book.errors:
        shows = "1 cell shows an error" if book.errors == 1 else f"{book.errors:,} cells show errors"
        notes.append(
            f"{shows}, read as the text that stands there, first {book.first_error}. Mend it, or drop the row."
        )
    if book.unseen:
        shows = "1 cell of the workbook shows" if book.unseen == 1 else f"{book.unseen:,} cells of the workbook show"
        notes.append(
            f"{shows} an error, read as empty, or a percentage, read as 0.125 for 12.5%. Save it as .xlsx to have them "
            "as they show."
        )
    if book.percentages:
        shows = "1 cell shows" if book.percentages == 1 else f"{book.percentages:,} cells show"
        notes.append(f"{shows} a percentage, read as that: 0.125 is 12.5%.")
    if not told and any(sheet.name == book.sheet and not sheet.visible for sheet in book.sheets):
        notes.append(f"The sheet {book.sheet!r} is hidden; no visible one holds anything.")
    return tuple(notes)
