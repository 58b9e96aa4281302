"""CSV and its relatives, by the standard library's reader in strict mode: it alone names the line, and goes on."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from itertools import chain
from typing import TypeAlias

from finetune_kit.errors import EmptyDataError, FormatError, RowError
from finetune_kit.readers.cells import Cells, cells_under
from finetune_kit.readers.columns import header_names, numbered_names, shown
from finetune_kit.readers.delimiters import SNIFF_CHARACTERS, check_delimiter, named_in, sniff
from finetune_kit.readers.encodings import TextEncoding, in_encoding, read_head, text_pieces
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.lines import TEXT_ENDS, lines_of, whole_lines
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.rows import BATCH_ROWS

LONGEST_CELL = 1 << 24
"""Characters in one cell: beyond any model's context, and few enough that an unclosed quote cannot fill the memory."""


_Span: TypeAlias = tuple[int, int]
"""The first and the last line of a record, counted from 1."""


def read_csv(
    path: PathLike,
    *,
    prompt: str | None = None,
    completion: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    header: bool = True,
    quotes: bool = True,
) -> ReadResult:
    """Read a table; `prompt` and `completion` name its columns, all others become metadata.

    Values stay as typed: "NA", "01" and line breaks in quoted cells are text like any other. Without a `header` the
    columns are called "column 1", "column 2" and so on; without `quotes` these are characters like any other.
    """
    check_delimiter(delimiter)
    name = os.fsdecode(path)
    form = TableForm(prompt, completion, delimiter, header, quotes)
    with open_source(path) as file:
        return pour_csv(file, name, form, encoding=encoding)


@dataclass(frozen=True, slots=True)
class TableForm:
    """What the caller says of a table; None is found out."""

    prompt: str | None
    completion: str | None
    delimiter: str | None
    header: bool
    quotes: bool


def pour_csv(file: BufferedReader, name: str, form: TableForm, *, encoding: str | None) -> ReadResult:
    """Read the table in an open file."""
    with _long_cells():
        return in_encoding(
            file, lambda text_encoding: _read(file, text_encoding, name, form), path=name, encoding=encoding
        )


def _read(file: BufferedReader, encoding: TextEncoding, name: str, form: TableForm) -> ReadResult:
    notes, delimiter = encoding.notes, form.delimiter
    head = read_head(file, encoding, size=SNIFF_CHARACTERS)
    named = named_in(head)
    if delimiter is None and named is not None:
        delimiter = named
    elif delimiter is None:
        delimiter = sniff(head)
        if delimiter != ",":
            notes += (f"The cells were taken to be separated by {delimiter!r}; pass delimiter= to choose.",)
    intake = Intake(name)
    table = _Table(text_pieces(file, encoding), delimiter, quotes=form.quotes, path=name)
    if named is not None:
        table.skip_record()
    header = table.columns(named=form.header)
    cells = cells_under(header, prompt=form.prompt, completion=form.completion, where=name)
    table.pour(cells, width=len(header), into=intake)
    if not intake.rows_in:
        raise EmptyDataError(f"{name}: there is a header ({shown(header)}) but no row under it. Add rows.", path=name)
    return intake.finish(
        Understanding(
            format="tsv" if delimiter == "\t" else "csv",
            columns=cells.columns(),
            notes=(*notes, *cells.notes()),
            encoding=encoding.codec,
            confidence=encoding.confidence,
            bom=encoding.bom_bytes > 0,
            delimiter=delimiter,
        )
    )


class _Table:
    """Records of a text with the line on which each starts."""

    def __init__(self, pieces: Iterable[str], delimiter: str, *, quotes: bool, path: str) -> None:
        self._path = path
        self._pieces = pieces
        self._at_end = False
        self._nul_until = 0  # the line up to which NUL characters may stand
        self._blocks: list[tuple[int, list[str]]] = []  # each with the number of its first line
        # Lines go from the file to the parser without a step of Python's between them.
        lines = chain.from_iterable(self._line_blocks())
        if quotes:
            self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        else:
            self._reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_NONE)
        self._first: tuple[list[str], _Span] | None = None  # the first record, where it is no header
        self._start = self._kept = 1

    def skip_record(self) -> None:
        """Leave out the first line, which is none of the table."""
        next(self._reader)

    def columns(self, *, named: bool) -> list[str]:
        """The names of the columns: by the header, where there is one, else by their position."""
        try:
            cells = self._next_record()
        except StopIteration:
            what = f"{self._path}: there is no text in the file. Check the export."
            raise EmptyDataError(what, path=self._path) from None
        except RowError as error:
            raise self._format_error(f"the header cannot be read: {error}. {error.hint}.") from error
        if cells[0].lstrip().startswith(('{"', "{'", "[{")):
            raise self._format_error("this is JSON, not a table. Read it with Dataset.from_file.")
        if named:
            return header_names(cells, path=self._path, row=self._start)
        self._first = cells, (self._start, self._reader.line_num)
        return numbered_names(len(cells))

    def pour(self, columns: Cells, *, width: int, into: Intake) -> None:
        """Hand over every record below the header, and refuse those that are not as they should be."""
        while True:
            records, spans, error = self._some_records()
            sound = {*map(len, records)} == {width} and self._kept > self._nul_until
            pairs = columns.together(records) if sound else None
            if pairs is not None:
                lines = [start for start, _ in spans]
                into.accept_pairs(pairs, lines=lines, raw=self._raw_at(spans))
            else:
                self._pour_singly(records, spans, columns, width=width, into=into)
            if error is not None:
                into.refuse(error, line=self._start, raw=self._raw((self._start, self._reader.line_num)))
            elif not records:
                return

    def _pour_singly(
        self, records: list[list[str]], spans: list[_Span], columns: Cells, *, width: int, into: Intake
    ) -> None:
        for cells, span in zip(records, spans, strict=True):
            try:
                _check(cells, width)
                example = columns.example(cells)
            except RowError as error:
                into.refuse(error, line=span[0], raw=self._raw(span))
            else:
                into.accept(example, line=span[0], raw=self._raw(span))

    def _some_records(self) -> tuple[list[list[str]], list[_Span], RowError | None]:
        """The next records that are not blank lines, with their lines, up to one that cannot be read."""
        records: list[list[str]] = []
        spans: list[_Span] = []
        start = self._kept = self._reader.line_num + 1
        if self._first is not None:
            records, spans = [self._first[0]], [self._first[1]]
            self._kept, self._first = spans[0][0], None
        try:
            for cells in self._reader:
                end = self._reader.line_num
                if cells:
                    records.append(cells)
                    spans.append((start, end))
                start = end + 1
                if len(records) == BATCH_ROWS:
                    break
        except csv.Error as error:
            self._start = start
            return records, spans, self._explain(error)
        return records, spans, None

    def _next_record(self) -> list[str]:
        while True:
            self._start = self._reader.line_num + 1
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
            hint='Write a quote inside a quoted cell twice: "say ""hi"""; or pass quotes=False if none encloses a cell',
        )

    def _format_error(self, what: str) -> FormatError:
        return FormatError(f"{self._path} row {self._start}: {what}", path=self._path, row=self._start)

    def _line_blocks(self) -> Iterator[list[str]]:
        first = 1
        for block in whole_lines(self._pieces, TEXT_ENDS, longest=LONGEST_CELL, too_long=self._too_long):
            lines = lines_of(block)
            if "\0" in block:
                self._nul_until = first + len(lines)
            self._blocks = [block for block in self._blocks if block[0] + len(block[1]) > self._kept]
            self._blocks.append((first, lines))
            first += len(lines)
            yield lines
        self._at_end = True

    def _too_long(self) -> FormatError:
        self._start = self._reader.line_num + 1
        return self._format_error(f"a line is longer than {LONGEST_CELL:,} characters. Is this a table?")

    def _raw_at(self, spans: list[_Span]) -> Callable[[int], str]:
        return lambda place: self._raw(spans[place])

    def _raw(self, span: _Span) -> str:
        """The text of a record among the last that were read."""
        start, end = span
        return "".join("".join(lines[max(start - first, 0) : max(end - first + 1, 0)]) for first, lines in self._blocks)


def _check(cells: list[str], width: int) -> None:
    """Let blank cells beyond the header go; refuse any other difference, and NUL characters."""
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        cells = cells[:width]
    if len(cells) != width:
        hint = "Fill in the missing cells; an empty cell still needs its delimiter"
        if len(cells) > width:
            hint = "Quote cells that contain the delimiter"
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        raise RowError(f"row has {count} where the header has {width}", code="ragged_row", hint=hint)
    if any("\0" in cell for cell in cells):
        raise RowError("a cell holds a NUL character", code="nul", hint="Delete it, or export the table again")


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
