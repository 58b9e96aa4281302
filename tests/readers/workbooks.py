"""Small workbooks as spreadsheet programs write them, for tests."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
# Number formats that Excel has built in: date, date and time, time, elapsed time.
_FORMATS = (0, 14, 22, 21, 46)

Cell = str | int | float | bool | date | datetime | time | timedelta | None


def write_workbook(path: Path, sheets: Mapping[str, Sequence[Sequence[Cell]]], *, hidden: Collection[str] = ()) -> Path:
    """Write `sheets`, each a list of rows; None leaves a cell out."""
    raw = {name: "".join(_row(number, row) for number, row in enumerate(rows, 1)) for name, rows in sheets.items()}
    return write_raw(path, raw, hidden=hidden)


def write_raw(
    path: Path, sheets: Mapping[str, str], *, hidden: Collection[str] = (), styles: str | None = None
) -> Path:
    """Write sheets whose rows are XML already, as may be the part with the styles."""
    entries, relations = "", _relation("rIdS", f"{OFFICE}/styles", "styles.xml")
    formats = "".join(f'<xf numFmtId="{number}" applyNumberFormat="1"/>' for number in _FORMATS)
    styles = styles or f'<styleSheet xmlns="{MAIN}"><cellXfs>{formats}</cellXfs></styleSheet>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, rows) in enumerate(sheets.items(), 1):
            state = ' state="hidden"' if name in hidden else ""
            entries += f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"{state}/>'
            relations += _relation(f"rId{number}", f"{OFFICE}/worksheet", f"worksheets/sheet{number}.xml")
            sheet = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
            archive.writestr(f"xl/worksheets/sheet{number}.xml", sheet)
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{PACKAGE}/content-types"/>')
        root = _relation("rId1", f"{OFFICE}/officeDocument", "xl/workbook.xml")
        archive.writestr("_rels/.rels", f'<Relationships xmlns="{PACKAGE}/relationships">{root}</Relationships>')
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}/relationships">{relations}</Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{entries}</sheets></workbook>'
        )
        archive.writestr("xl/styles.xml", styles)
    return path


def _relation(id_: str, type_: str, target: str) -> str:
    return f'<Relationship Id="{id_}" Type="{type_}" Target="{target}"/>'


def _row(number: int, cells: Sequence[Cell]) -> str:
    texts = (_cell(f"{chr(65 + column)}{number}", cell) for column, cell in enumerate(cells) if cell is not None)
    return f'<row r="{number}">{"".join(texts)}</row>'


def _cell(place: str, cell: Cell) -> str:
    if isinstance(cell, str):
        return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
    if isinstance(cell, bool):
        return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, int | float):
        return f'<c r="{place}"><v>{cell!r}</v></c>'
    style, serial = _serial(cell)
    return f'<c r="{place}" s="{style}"><v>{serial!r}</v></c>'


def _serial(cell: object) -> tuple[int, float]:
    day = timedelta(days=1)
    match cell:
        case datetime():
            return 2, (cell - _EPOCH) / day
        case date():
            return 1, (datetime(cell.year, cell.month, cell.day, tzinfo=UTC) - _EPOCH) / day
        case time():
            return 3, timedelta(hours=cell.hour, minutes=cell.minute, seconds=cell.second) / day
        case timedelta():
            return 4, cell / day
        case _:
            raise TypeError(cell)
