"""Plain text: each line that is not blank is a completion to learn, without a prompt."""

from __future__ import annotations

import os
from io import BufferedReader

from finetune_kit.errors import FormatError, RowError
from finetune_kit.readers.encodings import decoded, detect
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
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
    text_encoding = detect(file, path=name, encoding=encoding)
    intake = Intake(name)
    with decoded(file, text_encoding, path=name) as text:
        for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE), ""), 1):
            if len(line) >= LONGEST_LINE:
                what = f"{name} row {number}: the line is longer than {LONGEST_LINE:,} characters. Is this text?"
                raise FormatError(what, path=name, row=number)
            if line.isspace():
                continue
            if "\0" in line:
                error = RowError(
                    "the line holds a NUL character", code="nul", hint="Delete it, or export the text again"
                )
                intake.refuse(error, line=number, raw=line)
            else:
                intake.accept(CompletionExample("", line.rstrip("\r\n")), line=number, raw=line)
    return intake.finish(
        Understanding(
            format="text",
            columns={},
            notes=(*text_encoding.notes, "Each line was taken as a completion without a prompt."),
            encoding=text_encoding.codec,
            confidence=text_encoding.confidence,
            bom=text_encoding.bom_bytes > 0,
        )
    )
