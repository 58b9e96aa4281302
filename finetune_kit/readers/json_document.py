"""JSON that is not JSON Lines: an array of objects, an object around one or of columns, objects one after another."""

from __future__ import annotations

import itertools
import json
import os
import re
from io import BufferedReader
from typing import Any, cast

import orjson

from finetune_kit.errors import EmptyDataError, FormatError, RowError
from finetune_kit.readers.columns import shown
from finetune_kit.readers.encodings import TextEncoding, in_encoding, read_head, utf8_pieces
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.json_columns import first_row, has_columns, rows_of_columns
from finetune_kit.readers.json_objects import bad_json, example_of, has_repeated_keys, plain_chats, plain_pairs
from finetune_kit.readers.json_text import JsonText, Value
from finetune_kit.readers.jsonl import DOCUMENT_CHARACTERS, layout_of, pour_lines
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.readers.shapes import ROW_LISTS, Shape

_LINE_END = re.compile(r"[\r\n]+")  # str.splitlines knows others, which may stand in a text
_LINES_LOOKED_AT = 10
_ROWS_SINGLY = 256
_LONGEST_FIRST_ROW = 4 << 20
_LARGEST_TABLE = 32 << 20  # in one object, which is parsed as a whole


def read_json(
    path: PathLike, *, prompt: str | None = None, completion: str | None = None, encoding: str | None = None
) -> ReadResult:
    """Read one array of rows, an object that holds one, one with a list for each column, or objects one after another.

    The file is read in pieces. A syntax error ends the reading with its line, for what comes after it means nothing;
    rows that are valid JSON but cannot be kept are refused one by one.
    """
    name = os.fsdecode(path)
    with open_source(path) as file:
        return pour_json(file, name, prompt=prompt, completion=completion, encoding=encoding)


def pour_json(
    file: BufferedReader, name: str, *, prompt: str | None, completion: str | None, encoding: str | None
) -> ReadResult:
    """Read the JSON in an open file."""

    def read(text_encoding: TextEncoding) -> ReadResult:
        return _read(file, text_encoding, name, prompt=prompt, completion=completion)

    return in_encoding(file, read, path=name, encoding=encoding)


def _read(
    file: BufferedReader, encoding: TextEncoding, name: str, *, prompt: str | None, completion: str | None
) -> ReadResult:
    if holds_lines(read_head(file, encoding, size=DOCUMENT_CHARACTERS)):
        return pour_lines(file, encoding, name, prompt=prompt, completion=completion)
    document = _Document(Shape(prompt=prompt, completion=completion), Intake(name), path=name)
    document.pour(JsonText(utf8_pieces(file, encoding), path=name))
    shape, intake = document.shape, document.intake
    return intake.finish(
        Understanding(
            format="json",
            columns=shape.columns(intake.kind),
            notes=(*encoding.notes, *document.notes, *shape.notes(intake.kind)),
            encoding=encoding.codec,
            confidence=encoding.confidence,
            bom=encoding.bom_bytes > 0,
        )
    )


class _Document:
    """One file's rows on their way into the intake."""

    def __init__(self, shape: Shape, intake: Intake, *, path: str) -> None:
        self.shape, self.intake, self._path = shape, intake, path
        self.notes: list[str] = []
        self._by_number = False
        self._singly = 0  # so many rows are read one by one before many are tried together again

    def pour(self, text: JsonText) -> None:
        first = text.peek()
        if not first:
            raise EmptyDataError(f"{self._path}: there is no text in the file. Check the export.", path=self._path)
        self._by_number = text.is_one_line
        if first == b"[":
            self._array(text)
        elif first != b"{":
            raise text.error(
                f"these are no rows in JSON: the text begins with {first.decode('ascii', 'replace')!r}, not [ or {{."
            )
        elif not self._columns(text):
            found = None if self._begins_with_row(text) else text.list_of_objects()
            if found is not None and found[0] not in ROW_LISTS:
                self._wrapped(text, *found)
            else:
                self._series(text)
        if text.peek():
            raise text.error("more text follows after the end of the JSON. Is this two files in one?")
        if self._by_number and self.intake.rows_in > 1:
            self.notes.append("The file is one long line, so its rows are numbered as items, not as lines.")

    def _begins_with_row(self, text: JsonText) -> bool:
        """Whether the first object is a row, or is followed by others, though it may hold a list of objects too."""
        whole = text.whole_object(_LONGEST_FIRST_ROW)
        if whole is None:
            return False
        raw, more_follows = whole
        try:
            example_of(orjson.loads(raw), raw, self.shape)
        except (orjson.JSONDecodeError, RowError):
            return more_follows
        return True

    def _columns(self, text: JsonText) -> bool:
        """Hand over the rows of a table, where all of the text is one object with its columns."""
        whole = text.whole_object(_LARGEST_TABLE) if text.may_hold_columns() else None
        if whole is None or whole[1]:
            return False
        raw = whole[0]
        try:
            orjson.loads(raw)
            table: object = json.loads(raw)  # the one is strict, the other rounds no number
            if not has_columns(table):
                return False
            self.shape.example(first_row(table))
        except (orjson.JSONDecodeError, RowError):
            return False
        try:
            rows = list(rows_of_columns(table))
        except RowError as error:
            raise text.error(f"{error}. {error.hint}.") from error
        text.until(len(raw))
        self._by_number = False  # as is told below
        for number, row in enumerate(rows, 1):
            try:
                self.intake.accept(self.shape.example(row), line=number, raw=row)
            except RowError as error:
                self.intake.refuse(error, line=number, raw=row)
        self.notes.append("The file holds one column after another, so its rows are numbered as items, not as lines.")
        return True

    def _array(self, text: JsonText) -> None:
        text.take(b"[")
        if text.take(b"]"):
            return
        while True:
            if not text.peek():
                raise text.error("the list is never closed. Is the file cut off?")
            self._rows(text, separator=b",")
            if text.take(b"]"):
                return
            if not text.take(b","):
                raise text.error("a comma or ] should follow after a row of the list.")

    def _wrapped(self, text: JsonText, key: str, bracket: int) -> None:
        before = text.until(bracket)
        self._array(text)
        line = text.line
        rest = text.rest_of_object()
        try:
            around: dict[str, Any] = orjson.loads(before + b"[]" + rest)
        except orjson.JSONDecodeError as error:
            raise FormatError(
                f"{self._path} row {line}: the object around the list {key!r} is not valid JSON: {error.msg}.",
                path=self._path,
                row=line,
            ) from error
        others = [name for name, value in around.items() if _holds_objects(value) and name not in ROW_LISTS]
        if others:
            raise FormatError(
                f"{self._path}: the object holds more than one list of objects: {shown([key, *others])}. "
                "Write the one you want into a file of its own.",
                path=self._path,
            )
        self.notes.append(f"The rows are the list under the key {key!r}.")

    def _series(self, text: JsonText) -> None:
        while following := text.peek():
            if following != b"{":
                raise text.error(
                    "after an object another should follow, or nothing. Put rows into [ ], or one on each line."
                )
            self._rows(text, separator=b"")

    def _rows(self, text: JsonText, *, separator: bytes) -> None:
        """The next row, or as many as can be read together."""
        if not self._many(text, separator=separator):
            self._row(text.value(separator=separator))

    def _many(self, text: JsonText, *, separator: bytes) -> bool:
        keys = self.shape.pair_keys()
        if self._singly or (keys is None and not self.shape.takes_chats()):
            self._singly = max(0, self._singly - 1)
            return False
        objects = text.objects(separator=separator)
        pairs = None if objects is None or keys is None else plain_pairs(objects.parsed, objects.raw, keys)
        chats = None if objects is None or keys is not None else plain_chats(objects.parsed, objects.raw)
        if objects is None or (pairs is None and chats is None):
            self._singly = _ROWS_SINGLY
            return False
        lines = text.step_over(objects)
        numbers = range(self.intake.rows_in + 1, self.intake.rows_in + len(lines) + 1) if self._by_number else lines
        if pairs is not None:
            self.intake.accept_pairs(pairs, lines=numbers, raw=objects.raw.__getitem__)
        elif chats is not None:
            self.intake.accept_chats(chats, lines=numbers, raw=objects.raw.__getitem__)
        return True

    def _row(self, value: Value) -> None:
        line = self.intake.rows_in + 1 if self._by_number else value.line
        try:
            if value.error is not None:
                raise self._judged(value, value.error)
            example = example_of(value.parsed, value.raw, self.shape)
        except RowError as error:
            self.intake.refuse(error, line=line, raw=value.raw)
        else:
            self.intake.accept(example, line=line, raw=value.raw)
            if has_repeated_keys(value.raw, value.parsed):
                self.intake.tell_repeated_key(line=line)

    def _judged(self, value: Value, error: orjson.JSONDecodeError) -> RowError:
        """The reason to refuse a row whose end is certain; a syntax error makes all ends after it uncertain."""
        value.raw.decode()  # what is not UTF-8 at all is not the fault of this row
        reason = bad_json(error, advice="Repair that place")
        if reason.code != "bad_json":
            return reason
        line = value.line + error.lineno - 1
        raise FormatError(
            f"{self._path} row {line}: item {self.intake.rows_in + 1}, which starts in row {value.line}, is not valid "
            f"JSON at its character {error.pos + 1}: {error.msg}. {reason.hint}.",
            path=self._path,
            row=line,
        ) from error


def holds_lines(head: str) -> bool:
    """Whether JSON text that begins with `head` is one object a line, though some may be damaged."""
    text = head.lstrip()
    if not text.startswith("{") or layout_of(text) != "lines":
        return False
    lines = list(itertools.islice((line for line in _LINE_END.split(text) if line.strip()), _LINES_LOOKED_AT))
    if len(lines) == 1:
        row = _object_in(lines[0])
        if row is None or has_columns(row):
            return False
        return not any(_holds_objects(row[key]) for key in row.keys() - ROW_LISTS)
    opened = sum(line.lstrip().startswith("{") for line in lines)
    return opened * 2 > len(lines) and any(_object_in(line) is not None for line in lines)


def _holds_objects(value: object) -> bool:
    return isinstance(value, list) and isinstance(next(iter(cast("list[object]", value)), None), dict)


def _object_in(line: str) -> dict[str, Any] | None:
    try:
        value: object = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None
