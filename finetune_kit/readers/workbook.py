"""The parent's side of `sheet_worker`: starts it, hands on what it reads, and says in words what went wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeAlias

import orjson

from finetune_kit.errors import DataError, EmptyDataError, FormatError, ParameterError

_BUFFER_BYTES = 1 << 20  # about as much as the worker says at once
_WORKER = Path(__file__).with_name("sheet_worker.py")


Part: TypeAlias = tuple[int, list[list[str]]]
"""The number of a row, and the cells of it and of those that follow."""


@dataclass(frozen=True, slots=True)
class SheetInfo:
    """One sheet of a workbook."""

    name: str
    visible: bool
    is_table: bool
    """Not a chart, a dialogue or a macro."""


class Workbook:
    """What the worker has said so far."""

    def __init__(self, process: subprocess.Popen[bytes], *, path: str, sheet: str | int | None) -> None:
        self._process = process
        self._path = path
        self._wanted = sheet
        self.format = "xlsx"
        self.sheets: tuple[SheetInfo, ...] = ()
        self.sheet: str | None = None
        """The sheet that was read, once all of it is."""
        self.errors = self.percentages = 0
        """Cells that show an error or a percentage, once all is read."""
        self.unseen = 0
        """Such cells, in any sheet, of which no more is known."""
        self.first_error = ""
        """With its place, as in `#N/A in B3`."""
        self.others: dict[str, int] = {}
        """Rows that are not blank in the other sheets, once all is read."""

    def rows(self) -> Iterator[Part]:
        """All rows in parts, blank ones as empty lists or cells; then `others` is known."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said: dict[str, Any] = orjson.loads(line)
            match said["what"]:
                case "book":
                    self.format = said["format"]
                    self.sheets = tuple(SheetInfo(*sheet) for sheet in said["sheets"])
                case "rows":
                    yield said["start"], said["rows"]
                case "unseen":
                    self.unseen = said["cells"]
                case "shown":
                    self.errors, self.percentages = said["errors"], said["percentages"]
                    self.first_error = said["first_error"]
                case "end":
                    self.sheet = said["sheet"]
                case "other":
                    self.others[said["sheet"]] = said["rows"]
                case _:
                    raise self._error(said["code"], said["detail"])
        if self.sheet is None:
            raise self._stopped()

    def _error(self, code: str, detail: str) -> DataError | ParameterError:
        if code == "unknown":
            listed = [f"{number} {sheet.name!r}" for number, sheet in enumerate(self.sheets, 1)]
            more = f" and {len(listed) - 30} more" if len(listed) > 30 else ""
            return ParameterError(
                f"{self._path}: there is no sheet {self._wanted!r}. The sheets are: {', '.join(listed[:30])}{more}. "
                "Pass sheet= with one of these names or numbers.",
                parameter="sheet",
            )
        if code == "none":
            return EmptyDataError(
                f"{self._path}: the workbook has no sheet with cells. Export it again.", path=self._path
            )
        if code == "memory":
            return self._stopped()
        return FormatError(f"{self._path}: {_WORDS[code].format(detail)}", path=self._path)

    def _stopped(self) -> FormatError:
        return FormatError(
            f"{self._path}: the workbook takes far more memory or time than its size explains. Often a stray cell "
            "stands far away from the table, in the last row or column: delete the empty rows and columns around the "
            "table, or save the sheet as CSV UTF-8.",
            path=self._path,
        )


_WORDS = {
    "password": "the workbook is encrypted with a password. Save it in your spreadsheet program without one.",
    "damaged": "the workbook is cut off or damaged ({}). Open it in your spreadsheet program and save it again.",
    "bomb": "the workbook unpacks to {} bytes, too many to be read at once. Save the sheet as CSV UTF-8.",
    "other_document": "this is a Word or PowerPoint document. Copy the table into a spreadsheet and save that.",
    "not_a_workbook": "this is a ZIP file without a workbook; it holds {}. Unpack it, and read what is inside.",
    "long_cell": "a cell is longer than {} characters. Is this a table?",
}


@contextmanager
def open_workbook(file: BufferedReader, *, path: str, sheet: str | int | None) -> Generator[Workbook]:
    """The workbook in `file`, parsed in a process with limits that ends with the block."""
    _check_sheet(sheet)
    file.seek(0)
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    # -P: the folder of the program is no place to import from; the caller's own places are, however it got them, and
    # -S: so there is nothing to be set up anew.
    which = "first" if sheet is None else f"number:{sheet}" if isinstance(sheet, int) else f"name:{sheet}"
    command = [sys.executable, "-P", "-S", str(_WORKER), which]
    places = {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in sys.path if place)}
    try:
        process = subprocess.Popen(
            command,
            bufsize=_BUFFER_BYTES,
            stdin=file,
            stdout=subprocess.PIPE,
            pipesize=_BUFFER_BYTES,
            stderr=subprocess.DEVNULL,
            env=places,
        )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: no process can be started to read the workbook: {error}. Save the sheet as CSV UTF-8.", path=path
        ) from error
    with process:
        try:
            yield Workbook(process, path=path, sheet=sheet)
        finally:
            process.kill()


def _check_sheet(sheet: object) -> None:
    if sheet is None or (isinstance(sheet, str | int) and not isinstance(sheet, bool) and sheet != 0):
        return
    raise ParameterError(
        f"sheet={sheet!r} is no sheet. Pass its name, or its number counted from 1.", parameter="sheet"
    )
