"""JSON Lines, one object a line by orjson: each line is judged alone, so that a bad one costs only itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from io import BufferedReader
from operator import itemgetter
from typing import Any, Literal

import orjson

from finetune_kit.errors import FormatError, RowError
from finetune_kit.readers.encodings import TextEncoding, in_encoding, read_head, utf8_pieces
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.json_objects import bad_json, example_of, has_repeated_keys, plain_chats, plain_pairs
from finetune_kit.readers.lines import BYTE_ENDS, line_ends, whole_lines
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.readers.shapes import Shape

LONGEST_LINE = 1 << 26
"""Bytes in one line, as UTF-8: images in a chat row need many; without a limit one line could fill the memory."""

_FIRST = itemgetter(0)
_BRACE = set(b"{")
_CHAT = b'{"messages"'

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

    def read(text_encoding: TextEncoding) -> ReadResult:
        return pour_lines(file, text_encoding, name, prompt=prompt, completion=completion)

    return in_encoding(file, read, path=name, encoding=encoding)


def pour_lines(
    file: BufferedReader, encoding: TextEncoding, name: str, *, prompt: str | None, completion: str | None
) -> ReadResult:
    """Read the JSON Lines in an open file of which the encoding is settled."""
    shape = Shape(prompt=prompt, completion=completion)
    intake = Intake(name)
    _check_not_one_document(read_head(file, encoding, size=DOCUMENT_CHARACTERS), path=name)
    _pour_blocks(utf8_pieces(file, encoding), shape, path=name, into=intake)
    return intake.finish(
        Understanding(
            format="jsonl",
            columns=shape.columns(intake.kind),
            notes=(*encoding.notes, *shape.notes(intake.kind)),
            encoding=encoding.codec,
            confidence=encoding.confidence,
            bom=encoding.bom_bytes > 0,
        )
    )


def _pour_blocks(pieces: Iterable[bytes], shape: Shape, *, path: str, into: Intake) -> None:
    line = 1

    def too_long() -> FormatError:
        what = f"the line is longer than {LONGEST_LINE:,} bytes. JSON Lines holds one object a line."
        return FormatError(f"{path} row {line}: {what}", path=path, row=line)

    for block in whole_lines(pieces, BYTE_ENDS, longest=LONGEST_LINE, too_long=too_long):
        rows = _pour_together(block, shape, line=line, into=into)
        if not rows:
            raw_lines = block.splitlines() if b"\r" in block else block.split(b"\n")
            _pour(enumerate(raw_lines, line), shape, into=into)
        line += rows or line_ends(block, 0, len(block))


def _pour_together(block: bytes, shape: Shape, *, line: int, into: Intake) -> int:
    """Hand over all rows of the block at once where each of its lines is plain, and say how many; else none."""
    keys = shape.pair_keys()
    if keys is None and not shape.takes_chats():
        return 0
    together = _together(block)
    if together is None:
        return 0
    lines, objects = together
    numbers = range(line, line + len(lines))
    if keys is not None and (pairs := plain_pairs(objects, lines, keys)) is not None:
        into.accept_pairs(pairs, lines=numbers, raw=lines.__getitem__)
    elif keys is None and _begin_chats(lines) and (chats := plain_chats(objects, lines)) is not None:
        into.accept_chats(chats, lines=numbers, raw=lines.__getitem__)
    else:
        return 0
    return len(lines)


def _begin_chats(lines: list[bytes]) -> bool:
    """Whether each line begins like a conversation, so that none is the rest of one: no message has such a key."""
    return {line[: len(_CHAT)] for line in lines} == {_CHAT}


def _together(block: bytes) -> tuple[list[bytes], list[Any]] | None:
    """The lines of a block that holds one object on each, and the objects, parsed in one go.

    The line ends stay, and are no JSON inside a text; and behind each stands a brace, which is none inside an object.
    So as long as no object holds one that begins like a row, each falls between two; and with as many objects as lines
    each line is one.
    """
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    lines = block.removesuffix(b"\n").split(b"\n")
    try:
        if b"\r" in block or set(map(_FIRST, lines)) != _BRACE:
            return None
        found: list[Any] = orjson.loads(b"[%b]" % b",\n".join(lines))
    except (IndexError, orjson.JSONDecodeError):  # a blank line, or one that is no object
        return None
    return (lines, found) if len(found) == len(lines) else None


def _pour(lines: Iterable[tuple[int, bytes]], shape: Shape, *, into: Intake) -> None:
    for line, raw in lines:
        try:
            row: object = orjson.loads(raw)
            example = example_of(row, raw, shape)
        except orjson.JSONDecodeError as error:
            raw.decode()  # what is not UTF-8 at all is not the fault of this row
            if raw and not raw.isspace():
                into.refuse(bad_json(error), line=line, raw=raw)
        except RowError as error:
            into.refuse(error, line=line, raw=raw)
        else:
            into.accept(example, line=line, raw=raw)
            if has_repeated_keys(raw, row):
                into.tell_repeated_key(line=line)


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
