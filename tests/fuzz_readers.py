"""Feeds the decoder and the readers with bytes that atheris grows out of real files, for as long as it is let.

    pip install atheris
    python -m tests.fuzz_readers CORPUS_FOLDER [SEED_FOLDER …] -max_total_time=3600

Every input must give rows or one of our errors, with every row accounted for; text must be what Python's own decoder
makes of the bytes, and a table in plain UTF-8 must hold the cells that Python's own reader finds.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

atheris: Any = importlib.import_module("atheris")  # not among the packages that the project asks for

with atheris.instrument_imports(include=["finetune_kit.readers", "finetune_kit._canonical", "finetune_kit._keys"]):
    from finetune_kit.errors import FinetuneKitError
    from finetune_kit.readers import read_csv, read_file, read_json, read_jsonl, read_text
    from finetune_kit.readers.encodings import TextEncoding, in_encoding, text_pieces
    from finetune_kit.records import CompletionExample

READERS = (read_csv, read_file, read_json, read_jsonl, read_text)
FOLDER = Path(tempfile.mkdtemp())


def one_input(data: bytes) -> None:
    """The first byte chooses the reader, the rest is the file."""
    if not data:
        return
    path = FOLDER / "input"
    path.write_bytes(data[1:])
    decoded(path)
    with contextlib.suppress(FinetuneKitError):
        result = READERS[data[0] % len(READERS)](path)
        rows = list(result.rows)
        assert len(rows) == result.source.rows_read > 0
        assert result.source.rows_in == result.source.rows_read + result.source.rows_refused
        assert len(result.source.refusals) == min(1000, result.source.rows_refused)
        if data[0] % len(READERS) == 0:
            cells_are_pythons(data[1:], path)


def decoded(path: Path) -> None:
    """The text is what the codec that was settled on makes of the bytes."""

    def read(encoding: TextEncoding) -> None:
        text = "".join(text_pieces(file, encoding))
        assert text == path.read_bytes()[encoding.bom_bytes :].decode(encoding.codec)

    with path.open("rb") as file, contextlib.suppress(FinetuneKitError):
        in_encoding(file, read, path="input")


def cells_are_pythons(content: bytes, path: Path) -> None:
    """For a table in UTF-8 with commas and no refused row."""
    result = read_csv(path)
    source = result.source
    if source.encoding != "utf-8" or source.delimiter != "," or source.rows_refused or set(source.columns) < {"prompt"}:
        return
    table = csv.reader(io.StringIO(content.removeprefix(b"\xef\xbb\xbf").decode(), newline=""), strict=True)
    records = [cells for cells in table if cells]
    assert len(records) - 1 == len(result.rows)
    for cells, example in zip(records[1:], result.rows, strict=True):
        assert isinstance(example, CompletionExample)
        assert example.completion in cells
        assert any(map(example.prompt.startswith, cells))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
