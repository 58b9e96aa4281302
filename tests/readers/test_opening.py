"""A file that cannot be read is called what it is, with the nearest name that is there."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from finetune_kit.errors import DataError, FormatError, SourceNotFoundError
from finetune_kit.readers import read_csv, read_jsonl


@pytest.mark.parametrize("read", [read_csv, read_jsonl])
def test_missing_file_names_the_nearest(tmp_path: Path, read: object) -> None:
    (tmp_path / "support.csv").write_text("a,b\n", encoding="utf-8")
    assert callable(read)
    with pytest.raises(
        SourceNotFoundError, match=r"suport\.csv: there is no such file\. Did you mean '.*support\.csv'"
    ):
        read(tmp_path / "suport.csv")


def test_missing_file_beside_nothing_alike(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Check the path"):
        read_csv(tmp_path / "no" / "such.csv")


def test_folder_is_called_one_and_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "b.csv").touch()
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(
        SourceNotFoundError, match=r"this is a folder\. Name a file in it\. There are: a\.jsonl, b\.csv"
    ):
        read_csv(tmp_path)


def test_file_below_a_file_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(SourceNotFoundError):
        read_csv(tmp_path / "a.csv" / "b.csv")


@pytest.mark.parametrize("name", ["a\0b.csv", "x" * 5000])
def test_impossible_name_is_a_data_error(name: str) -> None:
    with pytest.raises(DataError):
        read_csv(name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are POSIX")
def test_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    with pytest.raises(SourceNotFoundError, match="a device or a pipe"):
        read_csv(pipe)


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the administrator may read everything")
def test_file_without_permission_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.touch(mode=0o000)
    with pytest.raises(DataError, match="no permission"):
        read_csv(path)


def test_other_kinds_of_file_are_called_what_they_are(tmp_path: Path) -> None:
    book, old, page = tmp_path / "a.xlsx", tmp_path / "a.xls", tmp_path / "a.parquet"
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr("x", "y")
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 100)
    page.write_bytes(b"PAR1")
    for path, what in ((book, "ZIP file, as XLSX"), (old, r"old \.xls file.*from_xlsx"), (page, "Parquet")):
        with pytest.raises(FormatError, match=what):
            read_csv(path)


def test_path_may_be_text_or_an_object(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion\na,b\n", encoding="utf-8")
    assert read_csv(str(path)).source == read_csv(path).source
