"""A program of its own: reads one sheet of the workbook on its standard input, and writes JSON lines.

The parser is native code that takes the memory a workbook asks for: one cell in the last corner of a sheet makes it
end the process. So it works in a process with limits, and `finetune_kit.readers.workbook` reads what it says. This file
is run by its path and imports nothing of the package, so that it starts in a few hundredths of a second.
"""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Any

import orjson
import python_calamine as calamine

_MOST_UNPACKED_BYTES = 1 << 30
_BOMB_BYTES = 128 << 20
_BOMB_RATIO = 100  # sheets and their texts pack to a tenth, rarely to a fiftieth
_BASE_BYTES = 192 << 20  # address space: the interpreter and the parser take 40 MB of it
_BYTES_PER_BYTE = 6  # of unpacked XML, which becomes texts and a grid of cells
_CPU_SECONDS = 300
_LONGEST_CELL = 1 << 24
_BATCH_ROWS = 1024
_BATCH_CHARACTERS = 1 << 20
_PIECE_BYTES = 1 << 20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

# Parts of an .xlsx file; some programs put a prefix before each name.
_SHEET_ID = re.compile(rb"<(?:\w+:)?sheet\s[^>]*?\w+:id\s*=\s*[\"']([^\"']*)")
_RELATION = re.compile(rb"<(?:\w+:)?Relationship\s[^>]*>")
_ATTRIBUTE = re.compile(rb"\b(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)')")
_FORMAT = re.compile(rb"<(?:\w+:)?numFmt\s[^>]*>")
_STYLES = re.compile(rb"<(?:\w+:)?cellXfs[\s>].*?</(?:\w+:)?cellXfs>", re.DOTALL)
_STYLE = re.compile(rb"<(?:\w+:)?xf[\s/>][^>]*>?")
_LITERAL = re.compile(rb"&quot;.*?&quot;|\"[^\"]*\"|\\.|_.")
_CELL = re.compile(
    rb"<(?:\w+:)?c\s([^>]*[^>/])>(?:<(?:\w+:)?f(?:\s[^>]*)?(?:/>|>[^<]*</(?:\w+:)?f>))?<(?:\w+:)?v>([^<]*)</"
)
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
_PERCENTAGES = {b"9", b"10"}  # the formats that are built in

Cell = str | int | float | bool | date | datetime | time | timedelta


class WorkbookError(Exception):
    """What is wrong with the workbook, as a word that the parent knows."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


def main() -> None:
    """Read the sheet that the first argument names."""
    kind, _, which = sys.argv[1].partition(":")
    wanted = int(which) if kind == "number" else which if kind == "name" else None
    _limit(_BASE_BYTES)
    content = io.BytesIO(sys.stdin.buffer.read())
    format_, unpacked_bytes = _survey(content)
    _limit(_BASE_BYTES + _BYTES_PER_BYTE * unpacked_bytes)
    content.seek(0)
    try:
        book = _open(content, format_)
        sheets = [(sheet.name, _is_visible(sheet), _is_table(sheet)) for sheet in book.sheets_metadata]
        _say("book", format=format_, sheets=sheets)
        chosen, sheet = _choose(book, sheets, wanted)
        number = [name for name, _, _ in sheets].index(chosen) if format_ == "xlsx" else None
        shown = Shown(content.getvalue(), number, first_column=sheet.start[1] if sheet.start else 0)
        _write_rows(sheet.iter_rows(), shown)
    except calamine.PasswordError as error:
        raise WorkbookError("password") from error
    except calamine.CalamineError as error:
        raise WorkbookError("damaged", str(error)) from error
    if format_ == "ods":
        _say("unseen", cells=_cells_unseen(content.getvalue()))
    _say("shown", errors=shown.errors, first_error=shown.first_error, percentages=shown.percentages)
    _say("end", sheet=chosen)
    for name, _, is_table in sheets:  # last, so that a fault in another sheet costs only its mention
        if is_table and name != chosen:
            rows = sum(any(cell != "" for cell in row) for row in book.get_sheet_by_name(name).iter_rows())
            _say("other", sheet=name, rows=rows)


def _open(content: io.BytesIO, format_: str) -> calamine.CalamineWorkbook:
    try:
        return calamine.CalamineWorkbook.from_filelike(content)
    except calamine.CalamineError:
        # It tried all kinds and keeps no reason; opened by a name with the right suffix, it gives one.
        if format_ == "xls" and "EncryptedPackage".encode("utf-16-le") in content.getvalue():
            raise WorkbookError("password") from None
        import tempfile  # its start takes as long as that of half of the others together

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"workbook.{format_}"
            path.write_bytes(content.getvalue())
            return calamine.CalamineWorkbook.from_path(path)  # pyright: ignore[reportUnknownMemberType]


def as_read(cell: Cell) -> str:
    """The text of a cell as a person reads it."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float | int):
        return _number(cell)
    if isinstance(cell, timedelta):
        return _duration(cell)
    text = cell.isoformat(sep=" ") if isinstance(cell, datetime) else cell.isoformat()
    return text.rstrip("0") if "." in text else text


def _number(value: float) -> str:
    if abs(value) < 1e20 and value == int(value):  # the first is false for infinity too
        return str(int(value))
    return format(value, ".15g").replace("e", "E")  # 15 digits, as spreadsheets show: 0.1 + 0.2 is 0.3


def _duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = value.days * 86_400 + value.seconds
    fraction = f".{value.microseconds:06}".rstrip("0") if value.microseconds else ""
    return f"{sign}{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"


def _limit(memory_bytes: int) -> None:
    if sys.platform == "win32":
        return  # no such limits: a bad workbook costs memory there, but still only this process
    import resource

    for what, amount in ((resource.RLIMIT_AS, memory_bytes), (resource.RLIMIT_CPU, _CPU_SECONDS)):
        hard = resource.getrlimit(what)[1]
        most = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(what, (most, hard))


def _survey(content: io.BytesIO) -> tuple[str, int]:
    """The kind of workbook, and how large it is unpacked, by its table of contents, which the parser holds it to."""
    size = content.getbuffer().nbytes
    if content.getvalue().startswith(_OLE):
        return "xls", size
    try:
        with zipfile.ZipFile(content) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise WorkbookError("damaged", str(error)) from error
    total = sum(member.file_size for member in members)
    if total > _MOST_UNPACKED_BYTES or (total > _BOMB_BYTES and total > _BOMB_RATIO * size):
        raise WorkbookError("bomb", f"{total:,}")
    return _format({member.filename.lower() for member in members}), total


def _format(names: set[str]) -> str:
    if "content.xml" in names:
        return "ods"
    if any(name.startswith("xl/") and name.endswith(".bin") and "workbook" in name for name in names):
        return "xlsb"
    if any(name.startswith(("word/", "ppt/")) for name in names):
        raise WorkbookError("other_document")
    if any("workbook" in name or name.startswith("xl/") for name in names):
        return "xlsx"
    raise WorkbookError("not_a_workbook", ", ".join(sorted(names)[:5]))


def _is_visible(sheet: calamine.SheetMetadata) -> bool:
    return sheet.visible == calamine.SheetVisibleEnum.Visible


def _is_table(sheet: calamine.SheetMetadata) -> bool:
    return sheet.typ == calamine.SheetTypeEnum.WorkSheet


def _choose(
    book: calamine.CalamineWorkbook, sheets: list[tuple[str, bool, bool]], wanted: str | int | None
) -> tuple[str, calamine.CalamineSheet]:
    """The sheet and its name; a sheet is parsed when it is got, so it is got once."""
    if wanted is not None:
        name = _named(sheets, wanted)
        return name, book.get_sheet_by_name(name)
    tables = [name for name, visible, table in sheets if table and visible]
    tables += [name for name, visible, table in sheets if table and not visible]
    if not tables:
        raise WorkbookError("none")
    for name in tables:
        sheet = book.get_sheet_by_name(name)
        if sheet.height:
            return name, sheet
    return tables[0], book.get_sheet_by_name(tables[0])


def _named(sheets: list[tuple[str, bool, bool]], wanted: str | int) -> str:
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(sheets):
            raise WorkbookError("unknown")
        return sheets[wanted - 1][0]
    alike = [name for name, _, _ in sheets if name.strip().casefold() == wanted.strip().casefold()]
    if any(name == wanted for name, _, _ in sheets):
        return wanted
    if len(alike) != 1:
        raise WorkbookError("unknown")
    return alike[0]


class Shown:
    """The cells of one sheet that show something else than the parser says: errors, which it calls empty, and shares.

    They are looked for in the sheet itself, once a cell asks for it, for that takes time.
    """

    def __init__(self, content: bytes, number: int | None, *, first_column: int) -> None:
        self._content, self._number, self._first_column = content, number, first_column
        self._rows: dict[int, dict[int, str]] | None = None
        self.errors = self.percentages = 0
        self.first_error = ""
        """With its place, as in `#N/A in B3`."""

    def put_into(self, rows: list[list[Any]], start: int) -> None:
        """Give these cells the text that they show; `start` is the number of the first row."""
        if self._rows is None:
            self._rows = {}
            if self._number is not None:
                with suppress(zipfile.BadZipFile, KeyError, IndexError, ValueError, NotImplementedError, EOFError):
                    self._look(self._number)
        if self._rows:
            for number, row in enumerate(rows, start):
                for column, text in self._rows.get(number, {}).items():
                    if 0 <= column < len(row):
                        row[column] = text

    def _look(self, number: int) -> None:
        with zipfile.ZipFile(io.BytesIO(self._content)) as archive:
            shares = _percentage_styles(archive)
            marks = [b't="e"', b"t='e'", *(mark % style for style in shares for mark in (b's="%b"', b"s='%b'"))]
            rest = b""
            with archive.open(_part_of_sheet(archive, number)) as part:
                while piece := part.read(_PIECE_BYTES):
                    whole, end, rest = (rest + piece).rpartition(b"row>")
                    if any(mark in whole for mark in marks):
                        self._note(whole + end, shares)

    def _note(self, xml: bytes, shares: set[bytes]) -> None:
        assert self._rows is not None
        for found in _CELL.finditer(xml):
            attributes = _attributes(found[1])
            kind, value = attributes.get(b"t", b"n"), found[2].decode()
            if kind == b"e":
                text = value
            elif kind == b"n" and attributes.get(b"s") in shares:
                text = f"{_number(float(value) * 100)}%"
            else:
                continue
            place = _PLACE.fullmatch(attributes.get(b"r", b"").decode())
            if place is not None:
                self._rows.setdefault(int(place[2]), {})[_column(place[1]) - self._first_column] = text
                if kind == b"e":
                    self.errors += 1
                    self.first_error = self.first_error or f"{text} in {place[0]}"
                else:
                    self.percentages += 1


def _cells_unseen(content: bytes) -> int:
    """How many cells of an .ods file show an error or a percentage, which the parser does not say."""
    marks, rest, cells = (b'value-type="error"', b'office:value-type="percentage"'), b"", 0
    with zipfile.ZipFile(io.BytesIO(content)) as archive, archive.open("content.xml") as part:
        while piece := part.read(_PIECE_BYTES):
            whole, _, rest = (rest + piece).rpartition(b">")
            cells += sum(map(whole.count, marks))
    return cells


def _part_of_sheet(archive: zipfile.ZipFile, number: int) -> str:
    wanted = _SHEET_ID.findall(archive.read("xl/workbook.xml"))[number]
    relations = map(_attributes, _RELATION.findall(archive.read("xl/_rels/workbook.xml.rels")))
    [target] = [relation[b"Target"].decode() for relation in relations if relation.get(b"Id") == wanted]
    return target.lstrip("/") if target.startswith("/") else f"xl/{target}"


def _percentage_styles(archive: zipfile.ZipFile) -> set[bytes]:
    """The numbers of the cell styles under which 0.5 shows as 50 %."""
    if "xl/styles.xml" not in archive.namelist():
        return set()
    xml = archive.read("xl/styles.xml")
    formats = map(_attributes, _FORMAT.findall(xml))
    shares = _PERCENTAGES | {
        format_.get(b"numFmtId", b"")
        for format_ in formats
        if b"%" in _LITERAL.sub(b"", format_.get(b"formatCode", b""))
    }
    styles = _STYLES.search(xml)
    used = [] if styles is None else [_attributes(style).get(b"numFmtId") for style in _STYLE.findall(styles[0])]
    return {b"%d" % number for number, format_ in enumerate(used) if format_ in shares}


def _attributes(tag: bytes) -> dict[bytes, bytes]:
    return {name: double or single for name, double, single in _ATTRIBUTE.findall(tag)}


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _write_rows(rows: Iterator[list[Any]], shown: Shown) -> None:
    start = 1
    while part := list(islice(rows, _BATCH_ROWS)):
        plain = set(map(type, chain.from_iterable(part))) == {str}
        if not plain or any("" in row for row in part):
            shown.put_into(part, start)
        if not plain:
            part = [[cell if type(cell) is str else as_read(cell) for cell in row] for row in part]
        if sum(map(len, chain.from_iterable(part))) <= _BATCH_CHARACTERS:
            _say("rows", start=start, rows=part)
        else:
            _write_singly(part, start)
        start += len(part)


def _write_singly(rows: list[list[str]], start: int) -> None:
    for number, row in enumerate(rows, start):
        if max(map(len, row)) > _LONGEST_CELL:
            raise WorkbookError("long_cell", f"{_LONGEST_CELL:,}")
        _say("rows", start=number, rows=[row])


def _say(what: str, **more: object) -> None:
    sys.stdout.buffer.write(orjson.dumps({"what": what, **more}) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main()
    except WorkbookError as error:
        _say("error", code=error.code, detail=error.detail)
    except MemoryError:
        _say("error", code="memory", detail="")
