"""Packed files read like plain ones, and a damaged or malicious one is refused before it costs anything."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune_kit.errors import EmptyDataError, FormatError, MissingExtraError
from finetune_kit.readers import (
    ReadResult,
    compression,
    read_csv,
    read_file,
    read_json,
    read_jsonl,
    read_text,
    read_xlsx,
)
from finetune_kit.records import CompletionExample
from tests.readers.workbooks import write_workbook

TABLE = b"prompt,completion\nq,a\n"
ROW = {"prompt": "q", "completion": "a"}
ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"


def has_zstd() -> bool:
    try:
        return importlib.util.find_spec(ZSTD) is not None
    except ModuleNotFoundError:
        return False


NEEDS_ZSTD = pytest.mark.skipif(not has_zstd(), reason="zstd is an extra that is not installed")


def zstd(content: bytes) -> bytes:
    module: Any = importlib.import_module(ZSTD)
    packed: bytes = module.compress(content)
    return packed


PACKINGS = [pytest.param(gzip.compress, id="gzip"), pytest.param(zstd, id="zstd", marks=NEEDS_ZSTD)]
PACK = pytest.mark.parametrize("pack", PACKINGS)


@PACK
@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_csv, TABLE),
        (read_file, TABLE),
        (read_csv, TABLE.decode().encode("utf-16")),
        (read_jsonl, json.dumps(ROW).encode()),
        (read_json, json.dumps([ROW], indent=1).encode()),
    ],
)
def test_every_reader_unpacks(
    tmp_path: Path, pack: Callable[[bytes], bytes], read: Callable[..., ReadResult], content: bytes
) -> None:
    path = tmp_path / "rows"  # known by its content, whatever its name
    path.write_bytes(pack(content))
    result = read(path)
    assert list(result.rows) == [CompletionExample("q", "a")]
    assert str(result.rows.origin(0)).startswith(str(path))


@PACK
def test_text_and_workbooks_unpack(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    book = write_workbook(tmp_path / "book.xlsx", {"Data": [["prompt", "completion"], ["q", "a"]]})
    book.write_bytes(pack(book.read_bytes()))
    assert len(read_xlsx(book).rows) == 1
    book.write_bytes(pack(b"a\nb\n"))
    assert len(read_text(book).rows) == 2


@PACK
def test_members_one_after_another_are_one_text(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(pack(TABLE) + pack(b"r,b\n"))
    assert len(read_csv(path).rows) == 2


@PACK
@pytest.mark.parametrize("part", [slice(0, 12), slice(0, -1), slice(0, -5)])
def test_cut_file_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes], part: slice) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(pack(TABLE * 50)[part])
    with pytest.raises(FormatError, match=r"data is cut off or damaged after [\d,]+ unpacked bytes"):
        read_csv(path)


@PACK
def test_damaged_file_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "rows.csv.gz"
    packed = bytearray(pack(TABLE * 50))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed + b"garbage behind the end")
    with pytest.raises(FormatError, match="cut off or damaged"):
        read_csv(path)


def test_empty_and_twice_packed_files_are_called_so(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(gzip.compress(b""))
    with pytest.raises(EmptyDataError, match="there is nothing in the gzip file"):
        read_csv(path)
    path.write_bytes(gzip.compress(gzip.compress(TABLE)))
    with pytest.raises(FormatError, match="packed with gzip twice"):
        read_csv(path)


@PACK
def test_bomb_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_BOMB_BYTES", 4 << 20)
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(pack(bytes(8 << 20)))
    with pytest.raises(FormatError, match=r"unpack to more than [\d,]+, as a file does that is made to fill"):
        read_csv(path)


@pytest.mark.skipif(has_zstd(), reason="zstd is installed")
def test_missing_zstd_says_the_pip_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(MissingExtraError, match=r'rows\.csv\.zst needs .* pip install "finetune_kit\[zstd\]"'):
        read_csv(path)
