"""JSON Lines, one object a line by orjson: each line is judged alone, so that a bad one costs only itself."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from io import BufferedReader
from typing import Any, Literal, TextIO

import orjson

from finetune_kit.errors import EncodingError, FormatError, RowError
from finetune_kit.readers.encodings import TextEncoding, check_all, decoded, detect, read_head
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.json_objects import bad_json, example_of, line_ends, plain_pairs
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.readers.shapes import Shape

LONGEST_LINE = 1 << 26
"""Bytes or characters in one line: images in a chat row need many; without a limit one line could fill the memory."""

_BLOCK_BYTES = 1 << 17
_HEAD_BYTES = 1 << 16

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
    if encoding is None and _begins_as_utf8(file):
        # The parser proves it on the way, which saves a pass over the file.
        with suppress(UnicodeDecodeError, EncodingError):
            return _read(file, TextEncoding("utf-8", 1.0, checked=True), name, prompt=prompt, completion=completion)
    return _read(file, detect(file, path=name, encoding=encoding), name, prompt=prompt, completion=completion)


def _begins_as_utf8(file: BufferedReader) -> bool:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return b"\0" not in head and not head.startswith(codecs.BOM_UTF8)


def _read(
    file: BufferedReader, text_encoding: TextEncoding, name: str, *, prompt: str | None, completion: str | None
) -> ReadResult:
    shape = Shape(prompt=prompt, completion=completion)
    intake = Intake(name)
    _check_not_one_document(read_head(file, text_encoding, path=name, size=DOCUMENT_CHARACTERS), path=name)
    if text_encoding.codec == "utf-8":
        check_all(file, text_encoding, path=name)
        _pour_bytes(file, text_encoding, shape, path=name, into=intake)
    else:
        with decoded(file, text_encoding, path=name) as text:
            _pour(enumerate(_text_lines(text, path=name), 1), shape, into=intake)
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


def _pour_bytes(file: BufferedReader, encoding: TextEncoding, shape: Shape, *, path: str, into: Intake) -> None:
    """UTF-8 needs no decoding: orjson checks it."""
    line = 1
    for block in _blocks(file, path=path, start=encoding.bom_bytes):
        rows = _pour_together(block, shape, line=line, into=into)
        if not rows:
            raw_lines = block.splitlines() if b"\r" in block else block.split(b"\n")
            _pour(enumerate(raw_lines, line), shape, into=into)
        line += rows or line_ends(block, 0, len(block))


def _blocks(file: BufferedReader, *, path: str, start: int) -> Iterator[bytes]:
    """Whole lines, many at once."""
    file.seek(start)
    waiting: list[bytes] = []
    size = 0
    while piece := file.read(_BLOCK_BYTES):
        cut = piece.rfind(b"\n") + 1
        size += cut or len(piece)
        if size >= LONGEST_LINE:
            line_start = file.tell() - len(piece) - size + (cut or len(piece))
            raise _too_long(path, _line_at(file, start, line_start))
        if not cut:
            waiting.append(piece)
            continue
        yield b"".join([*waiting, piece[:cut]])
        waiting, size = [piece[cut:]], len(piece) - cut
    yield b"".join(waiting)


def _line_at(file: BufferedReader, start: int, stop: int) -> int:
    file.seek(start)
    ends = 0
    while (left := stop - file.tell()) > 0 and (piece := file.read(min(left, _BLOCK_BYTES))):
        ends += piece.count(b"\n")
    return ends + 1


def _pour_together(block: bytes, shape: Shape, *, line: int, into: Intake) -> int:
    """Hand over all rows of the block at once where each of its lines is a plain pair, and say how many; else none."""
    keys = shape.pair_keys()
    rows = None if keys is None else _objects(block)
    if keys is None or rows is None:
        return 0
    pairs = plain_pairs(rows, keys)
    if pairs is None:
        return 0
    into.accept_pairs(*pairs, lines=range(line, line + len(rows)), raw=lambda place: block.split(b"\n")[place])
    return len(rows)


def _objects(block: bytes) -> list[Any] | None:
    """The objects of a block that holds one on each line, parsed in one go.

    Each line begins with a brace and ends with one, and no text holds a raw line end; so if there are as many objects
    as lines, and none holds another, each line is one object.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    body = block.removesuffix(b"\n")
    if b"\r" in body or body[:1] != b"{" or body[-1:] != b"}":
        return None
    lines = body.split(b"\n")
    if body.count(b"}\n{") != len(lines) - 1:
        return None
    try:
        found: list[Any] = orjson.loads(b"[" + b",".join(lines) + b"]")
    except orjson.JSONDecodeError:
        return None
    return found if len(found) == len(lines) else None


def _pour(lines: Iterable[tuple[int, bytes | str]], shape: Shape, *, into: Intake) -> None:
    for line, raw in lines:
        try:
            example = example_of(orjson.loads(raw), raw, shape)
        except orjson.JSONDecodeError as error:
            if isinstance(raw, bytes):
                raw.decode()  # what is not UTF-8 at all is not the fault of this row
            if raw and not raw.isspace():
                into.refuse(bad_json(error), line=line, raw=raw)
        except RowError as error:
            into.refuse(error, line=line, raw=raw)
        else:
            into.accept(example, line=line, raw=raw)


def _text_lines(text: TextIO, *, path: str) -> Iterator[str]:
    for number, raw in enumerate(iter(partial(text.readline, LONGEST_LINE), ""), 1):
        if len(raw) >= LONGEST_LINE:
            raise _too_long(path, number)
        yield raw


def _too_long(path: str, line: int) -> FormatError:
    what = (
        f"{path} row {line}: the line is longer than {LONGEST_LINE:,} characters. JSON Lines holds one object a line."
    )
    return FormatError(f"{path} row {line}: {what}", path=path, row=line)


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
