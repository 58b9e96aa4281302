"""Opening a file that a person named, and saying what is wrong with it in their words."""

from __future__ import annotations

import difflib
import itertools
import os
import stat
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TypeAlias

from finetune_kit.errors import DataError, EmptyDataError, FinetuneKitError, FormatError, SourceNotFoundError
from finetune_kit.readers.compression import packing_of, unpacked

PathLike: TypeAlias = "str | os.PathLike[str]"

_NAMES_LOOKED_AT = 10_000
_READABLE = (".csv", ".tsv", ".jsonl", ".json", ".xlsx", ".xls", ".ods")

_SIGNATURES = {
    b"\x1f\x8b": "packed with gzip twice. Unpack it first",
    b"\x28\xb5\x2f\xfd": "packed with zstd twice. Unpack it first",
    b"%PDF-": "a PDF document. Export the table as CSV UTF-8",
    b"PAR1": "a Parquet file. Load it with pandas, polars or pyarrow, and pass the table to Dataset.from_records",
    b"SQLite format 3\x00": "an SQLite database. Export the table as CSV UTF-8",
    b"ARROW1": "an Arrow file. Load it with pyarrow, and pass the table to Dataset.from_records",
}
_WORKBOOKS = {
    b"PK\x03\x04": "a ZIP file, as XLSX workbooks are. Read a workbook with Dataset.from_xlsx; unpack others first",
    b"PK\x05\x06": "an empty ZIP file. Export the data again",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old .xls file or an encrypted workbook. Read it with Dataset.from_xlsx",
}


@contextmanager
def open_source(path: PathLike, *, workbooks: bool = False) -> Generator[BufferedReader]:
    """The file for reading bytes, unpacked; whatever the operating system has against it becomes one of our errors.

    Unless `workbooks`, those are refused like other files that are not text.
    """
    name = os.fsdecode(path)
    refused = _SIGNATURES if workbooks else _SIGNATURES | _WORKBOOKS
    try:
        _check_kind(name)
        with ExitStack() as stack:
            file = stack.enter_context(Path(name).open("rb"))
            packing = packing_of(_head(file, name))
            if packing is not None:
                file = stack.enter_context(unpacked(file, packing, path=name))
            _check_signature(file, name, refused)
            yield file
    except FinetuneKitError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SourceNotFoundError(f"{name}: there is no such file.{_near(name)}", path=name) from error
    except PermissionError as error:
        raise DataError(f"{name}: you have no permission to read it. Change its rights.", path=name) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{name}: it cannot be read: {reason}. Check the path and the disk.", path=name) from error


def _check_kind(name: str) -> None:
    if "\0" in name:
        raise SourceNotFoundError(f"{name!r}: a file name holds no NUL character. Check the path.", path=name)
    mode = Path(name).stat().st_mode
    if stat.S_ISDIR(mode):
        raise SourceNotFoundError(f"{name}: this is a folder. Name a file in it.{_inside(name)}", path=name)
    if not stat.S_ISREG(mode):
        raise SourceNotFoundError(f"{name}: this is a device or a pipe. Save it to a file first.", path=name)


def is_workbook(head: bytes) -> bool:
    """Whether a file that begins with `head` can be a workbook."""
    return head.startswith(tuple(_WORKBOOKS))


def _head(file: BufferedReader, name: str) -> bytes:
    head = file.peek(16)[:16]
    if not head:
        raise EmptyDataError(f"{name}: the file is empty (0 bytes). Check the export, or name another file.", path=name)
    return head


def _check_signature(file: BufferedReader, name: str, refused: Mapping[bytes, str]) -> None:
    head = _head(file, name)
    for signature, what in refused.items():
        if head.startswith(signature):
            raise FormatError(f"{name}: this is {what}.", path=name)


def _near(name: str) -> str:
    folder = Path(name).parent
    close = [repr(str(folder / match)) for match in difflib.get_close_matches(Path(name).name, _names_in(folder))]
    return f" Did you mean {' or '.join(close)}?" if close else " Check the path."


def _inside(name: str) -> str:
    readable = [entry for entry in _names_in(Path(name)) if entry.lower().endswith(_READABLE)]
    return f" There are: {', '.join(sorted(readable)[:5])}." if readable else ""


def _names_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in itertools.islice(entries, _NAMES_LOOKED_AT)]
    except OSError:
        return []
