"""Plain text: each line that is not blank is a completion to learn, without a prompt."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import BufferedReader

from finetune_kit.errors import FormatError, RowError
from finetune_kit.readers.encodings import TextEncoding, in_encoding, text_pieces
from finetune_kit.readers.intake import Intake, Pairs, ReadResult, Understanding
from finetune_kit.readers.lines import TEXT_ENDS, lines_of, whole_lines
from finetune_kit.readers.opening import PathLike, open_source
from finetune_kit.records import CompletionExample

LONGEST_LINE = 1 << 24
"""Characters in one line, as in one cell of a table."""


def read_text(path: PathLike, *, encoding: str | None = None) -> ReadResult:
    """Read each line that is not blank as the completion of an empty prompt, its spaces kept."""
    name = os.fsdecode(path)
    with open_source(path) as file:
        return pour_text(file, name, encoding=encoding)


def pour_text(file: BufferedReader, name: str, *, encoding: str | None) -> ReadResult:
    """Read the text in an open file."""
    return in_encoding(file, lambda text_encoding: _read(file, text_encoding, name), path=name, encoding=encoding)


def _read(file: BufferedReader, encoding: TextEncoding, name: str) -> ReadResult:
    intake = Intake(name)
    number = 1

    def too_long() -> FormatError:
        what = f"{name} row {number}: the line is longer than {LONGEST_LINE:,} characters. Is this text?"
        return FormatError(what, path=name, row=number)

    for block in whole_lines(text_pieces(file, encoding), TEXT_ENDS, longest=LONGEST_LINE, too_long=too_long):
        lines = lines_of(block)
        _pour(lines, number, into=intake)
        number += len(lines)
    return intake.finish(
        Understanding(
            format="text",
            columns={},
            notes=(*encoding.notes, "Each line was taken as a completion without a prompt."),
            encoding=encoding.codec,
            confidence=encoding.confidence,
            bom=encoding.bom_bytes > 0,
        )
    )


def _pour(lines: Sequence[str], first: int, *, into: Intake) -> None:
    """Hand over the lines that are not blank, all at once where none must be refused."""
    rows = [(number, line) for number, line in enumerate(lines, first) if not line.isspace()]
    if not any("\0" in line for _, line in rows):
        texts = [line.rstrip("\r\n") for _, line in rows]
        pairs = Pairs([""] * len(rows), texts)
        into.accept_pairs(pairs, lines=[number for number, _ in rows], raw=lambda place: rows[place][1])
        return
    for number, line in rows:
        if "\0" in line:
            error = RowError("the line holds a NUL character", code="nul", hint="Delete it, or export the text again")
            into.refuse(error, line=number, raw=line)
        else:
            into.accept(CompletionExample("", line.rstrip("\r\n")), line=number, raw=line)
