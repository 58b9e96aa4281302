"""Any file: what it is by its content, and only then by its suffix; where they disagree, the source says so."""

from __future__ import annotations

import csv
import io
import os
import re
from dataclasses import replace
from io import BufferedReader
from pathlib import PurePath
from typing import Literal, TypeAlias

from finetune_kit.errors import FormatError, ParameterError
from finetune_kit.readers.columns import PAIRS
from finetune_kit.readers.delimited import TableForm, pour_csv
from finetune_kit.readers.delimiters import SNIFF_CHARACTERS, check_delimiter, sniff
from finetune_kit.readers.intake import ReadResult
from finetune_kit.readers.json_document import holds_lines, pour_json
from finetune_kit.readers.jsonl import pour_jsonl
from finetune_kit.readers.markup import markup_in
from finetune_kit.readers.opening import PathLike, is_workbook, open_source
from finetune_kit.readers.sheets import pour_workbook
from finetune_kit.readers.text import pour_text

Content: TypeAlias = Literal["workbook", "json", "jsonl", "table", "text"]

_SUFFIXES: dict[str, Content] = {
    ".xlsx": "workbook",
    ".xlsm": "workbook",
    ".xlsb": "workbook",
    ".xls": "workbook",
    ".ods": "workbook",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "table",
    ".tsv": "table",
    ".tab": "table",
    ".txt": "text",
}
_WORDS: dict[Content, str] = {
    "workbook": "a workbook",
    "json": "a JSON document",
    "jsonl": "JSON Lines",
    "table": "a table of text",
    "text": "plain text",
}
_PACKED = (".gz", ".gzip", ".zst", ".zstd")
_HEAD_BYTES = 1 << 20
_MARKUP_BYTES = 1024
_JSON_START = re.compile(r'\s*(?:\{\s*["}]|\[\s*[\[{\]"])')
_NAMES = frozenset(name for pair in PAIRS for name in pair)


def read_file(
    path: PathLike,
    *,
    prompt: str | None = None,
    completion: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | int | None = None,
    header: bool = True,
    quotes: bool = True,
) -> ReadResult:
    """Read a table, a workbook, JSON, JSON Lines or plain text, packed or not, whatever the file is called."""
    check_delimiter(delimiter)
    name = os.fsdecode(path)
    named = _SUFFIXES.get(_suffix(name))
    with open_source(path, workbooks=True) as file:
        markup = markup_in(file.peek(_MARKUP_BYTES)[:_MARKUP_BYTES])
        if markup is not None:
            raise FormatError(f"{name}: this is {markup}.", path=name)
        content = _content(file, named, columns_named=bool(prompt or completion), delimiter=delimiter)
        given: list[tuple[str, bool, bool]] = [
            ("encoding", encoding is not None, content != "workbook"),
            ("delimiter", delimiter is not None, content == "table"),
            ("sheet", sheet is not None, content == "workbook"),
            ("header", not header, content in ("table", "workbook")),
            ("quotes", not quotes, content == "table"),
        ]
        _check_parameters(name, content, given)
        if content == "workbook":
            result = pour_workbook(file, name, sheet=sheet, prompt=prompt, completion=completion, header=header)
        elif content == "json":
            result = pour_json(file, name, prompt=prompt, completion=completion, encoding=encoding)
        elif content == "jsonl":
            result = pour_jsonl(file, name, prompt=prompt, completion=completion, encoding=encoding)
        elif content == "text":
            result = pour_text(file, name, encoding=encoding)
        else:
            form = TableForm(prompt, completion, delimiter, header, quotes)
            result = pour_csv(file, name, form, encoding=encoding)
    notes = _disagreement(_suffix(name), named, content, result.source.format)
    return replace(result, source=replace(result.source, notes=(*notes, *result.source.notes)))


def _suffix(name: str) -> str:
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix in _PACKED else path.suffix


def _content(file: BufferedReader, named: Content | None, *, columns_named: bool, delimiter: str | None) -> Content:
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if is_workbook(head):
        return "workbook"
    text = _rough_text(head)
    if _JSON_START.match(text):
        return "jsonl" if holds_lines(text) else "json"
    known = _has_known_header(text) or _has_known_header(head.decode("gb18030", "ignore"))
    if named in ("json", "jsonl") and not known:
        return named  # its reader says best what is wrong with it
    if named == "text" and not (columns_named or delimiter or known):
        return "text"
    return "table"


def _rough_text(head: bytes) -> str:
    """The head, decoded well enough to see brackets, quotes and line ends."""
    for mark, codec in ((b"\xff\xfe\0\0", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if head.startswith(mark):
            return head.decode(codec, "ignore")
    if b"\0" in head[:64]:
        return head.decode("utf-16-be" if head[:1] == b"\0" else "utf-16-le", "ignore")
    return head.decode("utf-8-sig", "ignore")


def _has_known_header(text: str) -> bool:
    """Whether the first line names two columns that a table of examples has."""
    head = text[:SNIFF_CHARACTERS]
    try:
        cells = next(csv.reader(io.StringIO(head, newline=""), delimiter=sniff(head)))
    except (csv.Error, StopIteration):
        return False
    return sum(cell.strip().casefold() in _NAMES for cell in cells) > 1


def _check_parameters(name: str, content: Content, given: list[tuple[str, bool, bool]]) -> None:
    """Refuse what has no meaning for this content, for whoever passes it takes the file for something else.

    Each parameter comes with whether it was passed and whether it fits.
    """
    for parameter, passed, fits in given:
        if passed and not fits:
            raise ParameterError(
                f"{name} is {_WORDS[content]}, to which {parameter}= does not apply. Leave it out.", parameter=parameter
            )


def _disagreement(suffix: str, named: Content | None, content: Content, format_: str) -> tuple[str, ...]:
    if named is not None and named != content:
        return (f"The file is named {suffix}, but holds {_WORDS[content]}; it was read as that.",)
    if content == "workbook" and named is not None and (suffix == ".xls") != (format_ == "xls"):
        return (f"The file is named {suffix}, but is {format_.upper()} inside; it was read as that.",)
    return ()
