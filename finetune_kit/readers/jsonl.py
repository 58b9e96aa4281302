"""JSON Lines, one object a line by orjson: each line is judged alone, so that a bad one costs only itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader
from typing import Literal, TypeVar

import orjson

from finetune_kit.errors import FormatError, RowError
from finetune_kit.readers.encodings import TextEncoding, check_all, decoded, detect, read_head
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.json_objects import bad_json, example_of
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.readers.shapes import Shape

Line = TypeVar("Line", bytes, str)

LONGEST_LINE = 1 << 26
"""Bytes or characters in one line: images in a chat row need many; without a limit one line could fill the memory."""

DOCUMENT_CHARACTERS = 1 << 20
"""How much of the text `layout_of` wants to see."""


def read_jsonl(
    path: PathLike, *, prompt: str | None = None, completion: str | None = None, encoding: str | None = None
) -> ReadResult:
    """Read objects with a prompt and a completion, or chat rows with `messages`; other keys become metadata."""
    name = os.fsdecode(path)
    with open_source(path) as file:
        return pour_jsonl(file, name, prompt=prompt, completion=completion, encoding=encoding)


def pour_jsonl(
    file: BufferedReader, name: str, *, prompt: str | None, completion: str | None, encoding: str | None
) -> ReadResult:
    """Read the JSON Lines in an open file."""
    text_encoding = detect(file, path=name, encoding=encoding)
    shape = Shape(prompt=prompt, completion=completion)
    intake = Intake(name)
    _check_not_one_document(read_head(file, text_encoding, path=name, size=DOCUMENT_CHARACTERS), path=name)
    _pour(_lines(file, text_encoding, path=name), shape, into=intake)
    return intake.finish(
        Understanding(
            format="jsonl",
            columns=shape.columns(intake.kind),
            notes=(*text_encoding.notes, *shape.notes(intake.kind)),
            encoding=text_encoding.codec,
            confidence=text_encoding.confidence,
            bom=text_encoding.bom_bytes > 0,
        )
    )


def _pour(lines: Iterable[bytes | str], shape: Shape, *, into: Intake) -> None:
    for line, raw in enumerate(lines, 1):
        try:
            example = example_of(orjson.loads(raw), raw, shape)
        except orjson.JSONDecodeError as error:
            if raw and not raw.isspace():
                into.refuse(bad_json(error), line=line, raw=raw)
        except RowError as error:
            into.refuse(error, line=line, raw=raw)
        else:
            into.accept(example, line=line, raw=raw)


def _lines(file: BufferedReader, encoding: TextEncoding, *, path: str) -> Iterator[bytes | str]:
    if encoding.codec == "utf-8":  # orjson checks UTF-8 itself, so nothing is decoded twice
        check_all(file, encoding, path=path)
        file.seek(encoding.bom_bytes)
        for raw in _bounded(partial(file.readline, LONGEST_LINE), b"", path=path):
            if b"\r" in raw:
                yield from raw.splitlines()
            else:
                yield raw
        return
    with decoded(file, encoding, path=path) as text:
        yield from _bounded(partial(text.readline, LONGEST_LINE), "", path=path)


def _bounded(read: Callable[[], Line], end: Line, *, path: str) -> Iterator[Line]:
    for number, raw in enumerate(iter(read, end), 1):
        if len(raw) >= LONGEST_LINE:
            raise FormatError(
                f"{path} row {number}: the line is longer than {LONGEST_LINE:,} characters. "
                "JSON Lines holds one object a line.",
                path=path,
                row=number,
            )
        yield raw


def layout_of(head: str) -> Literal["array", "spread", "lines"]:
    """How JSON text that begins with `head` is laid out: one array, objects over several lines, or a value a line."""
    text = head.lstrip()
    first, _, rest = text.replace("\r", "\n").partition("\n")
    try:
        value: object = orjson.loads(first)
    except orjson.JSONDecodeError:
        if text.startswith("["):
            return "array"
        value = _first_value(text)
        return "spread" if value is not None and not isinstance(value, list) else "lines"
    one_line = not rest.strip() and len(head) < DOCUMENT_CHARACTERS
    return "array" if isinstance(value, list) and one_line else "lines"


def _check_not_one_document(head: str, *, path: str) -> None:
    """Say so where the file is JSON, but not one object a line."""
    layout = layout_of(head)
    if layout == "array":
        what = "this is one JSON array, not one object a line"
    elif layout == "spread":
        what = "its JSON objects are spread over several lines"
    else:
        return
    raise FormatError(f"{path}: {what}. Read it with Dataset.from_json.", path=path, row=1)


def _first_value(text: str) -> object:
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if "\n" in text[:end] or "\r" in text[:end] else None
