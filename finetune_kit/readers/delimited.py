"""CSV and its relatives, by the standard library's reader in strict mode: it alone names the line, and goes on."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from typing import TextIO

from finetune_kit.errors import EmptyDataError, FormatError, RowError
from finetune_kit.readers.columns import Fields, choose_fields, header_names, joined, shown
from finetune_kit.readers.delimiters import SNIFF_CHARACTERS, check_delimiter, sniff
from finetune_kit.readers.encodings import decoded, detect, read_head
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.records import CompletionExample

LONGEST_CELL = 1 << 24
"""Characters in one cell: beyond any model's context, and few enough that an unclosed quote cannot fill the memory."""


def read_csv(
    path: PathLike,
    *,
    prompt: str | None = None,
    completion: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
) -> ReadResult:
    """Read a table with a header; `prompt` and `completion` name its columns, all others become metadata.

    Values stay as typed: "NA", "01" and line breaks in quoted cells are text like any other.
    """
    check_delimiter(delimiter)
    name = os.fsdecode(path)
    with open_source(path) as file:
        return pour_csv(file, name, prompt=prompt, completion=completion, encoding=encoding, delimiter=delimiter)


def pour_csv(
    file: BufferedReader,
    name: str,
    *,
    prompt: str | None,
    completion: str | None,
    encoding: str | None,
    delimiter: str | None,
) -> ReadResult:
    """Read the table in an open file."""
    with _long_cells():
        text_encoding = detect(file, path=name, encoding=encoding)
        notes = text_encoding.notes
        if delimiter is None:
            head = read_head(file, text_encoding, path=name, size=SNIFF_CHARACTERS)
            delimiter = sniff(head)
            if delimiter != ",":
                notes += (f"The cells were taken to be separated by {delimiter!r}; pass delimiter= to choose.",)
        intake = Intake(name)
        with decoded(file, text_encoding, path=name) as text:
            table = _Table(text, delimiter, path=name)
            header = table.header()
            fields = choose_fields(header, prompt=prompt, completion=completion, where=name)
            table.pour(header, fields, into=intake)
    if not intake.rows_in:
        raise EmptyDataError(f"{name}: there is a header ({shown(header)}) but no row under it. Add rows.", path=name)
    return intake.finish(
        Understanding(
            format="tsv" if delimiter == "\t" else "csv",
            columns=fields.as_mapping(),
            notes=(*notes, *fields.notes),
            encoding=text_encoding.codec,
            confidence=text_encoding.confidence,
            bom=text_encoding.bom_bytes > 0,
            delimiter=delimiter,
        )
    )


class _Table:
    """Records of a text with the line on which each starts."""

    def __init__(self, text: TextIO, delimiter: str, *, path: str) -> None:
        self._path = path
        self._next_line = partial(text.readline, LONGEST_CELL)
        self._seen: list[str] = []
        self._at_end = False
        self._reader = csv.reader(self._physical_lines(), delimiter=delimiter, strict=True)
        self._start = 1

    def header(self) -> list[str]:
        """The names of the columns, blank ones at the end left out, blank ones between called by their position."""
        try:
            cells = self._next_record()
        except StopIteration:
            what = f"{self._path}: there is no text in the file. Check the export."
            raise EmptyDataError(what, path=self._path) from None
        except RowError as error:
            raise self._format_error(f"the header cannot be read: {error}. {error.hint}.") from error
        if cells[0].lstrip().startswith(('{"', "{'", "[{")):
            raise self._format_error("this is JSON, not a table. Read it with Dataset.from_file.")
        return header_names(cells, path=self._path, row=self._start)

    def pour(self, header: Sequence[str], fields: Fields, *, into: Intake) -> None:
        """Hand over every record below the header."""
        width = len(header)
        prompt, completion, context = fields.places(header)
        others = [(number, name) for number, name in enumerate(header) if number not in (prompt, completion, context)]
        while True:
            try:
                cells = self._next_record()
                if len(cells) != width:
                    _check_width(cells, width)
                if any("\0" in cell for cell in cells):
                    raise _nul_error()
                if context is not None:
                    cells[prompt] = joined(cells[prompt], cells[context])
                if others:
                    metadata = {name: cells[number] for number, name in others}
                    example = CompletionExample(cells[prompt], cells[completion], metadata)
                else:
                    example = CompletionExample(cells[prompt], cells[completion])
            except StopIteration:
                return
            except RowError as error:
                into.refuse(error, line=self._start, raw=self._raw())
            else:
                into.accept(example, line=self._start, raw=self._seen[0])

    def _next_record(self) -> list[str]:
        while True:
            self._start = self._reader.line_num + 1
            self._seen.clear()
            try:
                cells = next(self._reader)
            except csv.Error as error:
                raise self._explain(error) from error
            if cells:
                return cells

    def _explain(self, error: csv.Error) -> RowError:
        if self._at_end:
            raise self._format_error("a quote is opened here and never closed. Close it, or double it.")
        if "field larger" in str(error):
            raise self._format_error(
                f"a cell is longer than {LONGEST_CELL:,} characters. Most likely a quote opened here is never closed."
            )
        return RowError(
            f"a quoted cell is not followed by the delimiter ({error})",
            code="bad_quotes",
            hint='Write a quote inside a quoted cell twice: "say ""hi"""',
        )

    def _format_error(self, what: str) -> FormatError:
        return FormatError(f"{self._path} row {self._start}: {what}", path=self._path, row=self._start)

    def _physical_lines(self) -> Iterator[str]:
        for line in iter(self._next_line, ""):
            if len(line) >= LONGEST_CELL:
                raise self._format_error(f"a line is longer than {LONGEST_CELL:,} characters. Is this a table?")
            self._seen.append(line)
            yield line
        self._at_end = True

    def _raw(self) -> str:
        return "".join(self._seen[:10])


def _check_width(cells: list[str], width: int) -> None:
    """Let blank cells beyond the header go; refuse any other difference."""
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return
    if len(cells) > width:
        hint = "Quote cells that contain the delimiter"
    else:
        hint = "Fill in the missing cells; an empty cell still needs its delimiter"
    count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
    raise RowError(f"row has {count} where the header has {width}", code="ragged_row", hint=hint)


def _nul_error() -> RowError:
    return RowError("a cell holds a NUL character", code="nul", hint="Delete it, or export the table again")


_limit_lock = threading.Lock()
_limits_before: list[int] = []


@contextmanager
def _long_cells() -> Generator[None]:
    """Raise the csv module's limit on cells while any of our readers runs.

    The limit is one number for the whole process. So the first reader sets it and the last restores it, and another
    user of csv sees at worst a higher limit than its own meanwhile.
    """
    with _limit_lock:
        _limits_before.append(csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit())))
    try:
        yield
    finally:
        with _limit_lock:
            before = _limits_before.pop()
            if not _limits_before:
                csv.field_size_limit(before)
