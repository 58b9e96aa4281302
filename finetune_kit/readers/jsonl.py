"""JSON Lines, one object a line by orjson: each line is judged alone, so that a bad one costs only itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from io import BufferedReader
from typing import Any, TypeVar, cast

import orjson

from finetune_kit._canonical import needs_exact_numbers
from finetune_kit.errors import FormatError, RowError
from finetune_kit.readers.encodings import TextEncoding, check_all, decoded, detect, read_head
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.readers.shapes import Shape, wrong_type
from finetune_kit.records import Example

Line = TypeVar("Line", bytes, str)

LONGEST_LINE = 1 << 26
"""Bytes or characters in one line: images in a chat row need many; without a limit one line could fill the memory."""

_DOCUMENT_CHARACTERS = 1 << 20


def read_jsonl(
    path: PathLike, *, prompt: str | None = None, completion: str | None = None, encoding: str | None = None
) -> ReadResult:
    """Read objects with a prompt and a completion, or chat rows with `messages`; other keys become metadata."""
    name = os.fsdecode(path)
    with open_source(path) as file:
        text_encoding = detect(file, path=name, encoding=encoding)
        shape = Shape(prompt=prompt, completion=completion)
        intake = Intake(name)
        _check_not_one_document(read_head(file, text_encoding, path=name, size=_DOCUMENT_CHARACTERS), path=name)
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
            example = _example(raw, shape)
        except orjson.JSONDecodeError as error:
            if raw and not raw.isspace():
                into.refuse(_bad_json(error), line=line, raw=raw)
        except RowError as error:
            into.refuse(error, line=line, raw=raw)
        else:
            into.accept(example, line=line, raw=raw)


def _example(raw: bytes | str, shape: Shape) -> Example:
    row: Any = orjson.loads(raw)
    if not isinstance(row, dict):
        raise wrong_type("the row", row, hint="Each line must be one object: {...}")
    example = shape.example(cast("dict[str, Any]", row))
    if needs_exact_numbers(example):
        example = shape.example(_exact(raw))
    return example


def _exact(raw: bytes | str) -> dict[str, Any]:
    try:
        row: dict[str, Any] = json.loads(raw)
    except (ValueError, RecursionError) as error:
        reason = f"a number in the row cannot be read: {error}"
        raise RowError(reason, code="bad_json", hint="Write it as text") from error
    return row


def _bad_json(error: orjson.JSONDecodeError) -> RowError:
    if "surrogate" in error.msg:
        code, hint = "lone_surrogate", "It often comes from a text that was cut inside an emoji; delete the half"
    elif "depth" in error.msg:
        code, hint = "too_deep", "Flatten the row"
    else:
        code, hint = "bad_json", "Each line must be one whole JSON object"
    column = error.colno if error.lineno == 1 else error.pos  # an end that comes too soon is put behind the line feed
    return RowError(f"not valid JSON at column {column}: {error.msg}", code=code, hint=hint, column=column)


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


def _check_not_one_document(head: str, *, path: str) -> None:
    """Say so where the file is JSON, but not one object a line."""
    text = head.lstrip()
    first, _, rest = text.replace("\r", "\n").partition("\n")
    try:
        value: object = orjson.loads(first)
    except orjson.JSONDecodeError:
        value = _first_value(text)
        spread = value is not None and not isinstance(value, list)
        is_array = text.startswith("[")
    else:
        spread = False
        is_array = isinstance(value, list) and not rest.strip() and len(head) < _DOCUMENT_CHARACTERS
    if is_array:
        raise _one_document(
            path,
            "this is one JSON array, not one object a line",
            "`jq -c '.[]' file > rows.jsonl` writes one object a line",
        )
    if spread:
        raise _one_document(
            path,
            "its JSON objects are spread over several lines",
            "`jq -c . file > rows.jsonl` writes one object a line",
        )


def _first_value(text: str) -> object:
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return value if "\n" in text[:end] or "\r" in text[:end] else None


def _one_document(path: str, what: str, how: str) -> FormatError:
    return FormatError(f"{path}: {what}. Convert it: {how}", path=path, row=1)
