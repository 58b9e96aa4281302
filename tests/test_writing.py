"""What is written for a host is whole, the same every time, and reads back equal."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import Dataset, WrittenFile
from finetune_kit.errors import FileTooLargeError, ParameterError, StorageError
from finetune_kit.hosts import FileRules, file_rules
from finetune_kit.records import Example
from finetune_kit.rows import Rows
from finetune_kit.writing import write_rows
from tests.test_rows import CHATS, COMPLETIONS, rows_of

PAIRS = [
    ("Where is my parcel?", "At your neighbour's."),
    ("多少钱?", "九块\n九"),
    ("again", "again"),
    ("again", "again"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "training.jsonl"


def rules(max_file_bytes: int) -> FileRules:
    return file_rules("openai").model_copy(update={"max_file_bytes": max_file_bytes})


@given(st.lists(COMPLETIONS, min_size=1, max_size=6) | st.lists(CHATS, min_size=1, max_size=6))
def test_what_was_written_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, examples: list[Example]) -> None:
    rows = rows_of(*examples)
    path = tmp_path_factory.mktemp("written") / "rows.jsonl"
    for host in ("openai", "azure"):
        written = write_rows(rows, path, file_rules(host))
        assert b"".join(rows.content_blocks()) == path.read_bytes().removeprefix(b"\xef\xbb\xbf")
        assert written.size_bytes == path.stat().st_size == sum(rows.content_lengths()) + 3 * written.bom


def test_a_data_set_reads_back_equal_with_and_without_the_mark(path: Path) -> None:
    data = Dataset.from_records(PAIRS)
    for host, mark in (("openai", False), ("azure", True)):
        written = data.write(path, host=host)
        content = path.read_bytes()
        assert content.startswith(b"\xef\xbb\xbf") == mark
        assert written == WrittenFile(
            str(path), len(content), hashlib.sha256(content).hexdigest(), "utf-8", mark, len(PAIRS)
        )
        assert list(Dataset.from_jsonl(path)) == list(data)


def test_the_same_rows_give_the_same_bytes(path: Path) -> None:
    data = Dataset.from_records([{"prompt": "a", "completion": "b", "customer": 7}, ("c", "d")])
    assert data.write(path).sha256 == Dataset.from_records([("a", "b"), ("c", "d")]).write(path).sha256


def test_a_split_is_written_as_its_rows_stand(path: Path) -> None:
    training = Dataset.from_records((f"q{n}", f"a{n}") for n in range(500)).split(0.8).training
    assert training.write(path).rows == 400
    assert list(Dataset.from_jsonl(path)) == list(training)


def test_a_file_over_the_limit_is_refused_with_what_would_fit_and_nothing_is_touched(path: Path) -> None:
    path.write_text("old")
    rows = Dataset.from_records((f"q{n}", "a") for n in range(10)).rows
    one = len(rows.content_line(0)) + 1
    with pytest.raises(FileTooLargeError, match=r"would take 330 bytes.* at most 102 .*first 3 rows") as raised:
        write_rows(rows, path, rules(3 * one + 3))
    assert (raised.value.rows_that_fit, raised.value.size_bytes) == (3, 10 * one)
    assert path.read_text() == "old"
    assert write_rows(rows, path, rules(10 * one)).rows == 10


def test_an_error_in_the_midst_leaves_the_old_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(rows: Rows) -> object:
        yield b"half\n"
        raise KeyboardInterrupt

    path.write_text("old")
    data = Dataset.from_records(PAIRS)
    monkeypatch.setattr(Rows, "content_blocks", broken)
    with pytest.raises(KeyboardInterrupt):
        data.write(path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_full_disk_is_said_and_leaves_nothing_behind(path: Path) -> None:
    """A limit on the size of files stands in for a full disk: the kernel refuses the write in both cases."""
    program = """
import resource, signal, sys
from finetune_kit import Dataset
from finetune_kit.errors import StorageError
data = Dataset.from_records((str(n), "x" * 50_000) for n in range(100))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    data.write(sys.argv[1])
except StorageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert "cannot be written: File too large" in done.stdout
    assert list(path.parent.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    data = Dataset.from_records(PAIRS)
    with pytest.raises(StorageError, match="it is a folder"):
        data.write(tmp_path)
    with pytest.raises(StorageError, match="No such file"):
        data.write(tmp_path / "nowhere" / "rows.jsonl")
    with pytest.raises(StorageError, match="cannot be written"):
        data.write("a\0b")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are POSIX")
@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes in folders")
def test_a_pipe_or_a_device_is_not_replaced_by_a_file(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(StorageError, match=r"training\.jsonl cannot be written: it is a device or a pipe; name a file"):
        Dataset.from_records(PAIRS).write(path)
    assert path.is_fifo()
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_has_the_usual_rights_and_an_old_one_keeps_its_own(path: Path) -> None:
    usual = path.with_name("usual")
    usual.touch()
    data = Dataset.from_records(PAIRS)
    data.write(path)
    assert path.stat().st_mode == usual.stat().st_mode
    path.chmod(0o600)
    data.write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_keeps_pointing_where_it_did(path: Path) -> None:
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    Dataset.from_records(PAIRS).write(link)
    assert link.is_symlink()
    assert path.stat().st_size


def test_an_unknown_host_is_told_with_those_there_are(path: Path) -> None:
    with pytest.raises(ParameterError, match=r"there are openai, azure, .*local"):
        Dataset.from_records(PAIRS).write(path, host="opnai")


def test_duplicates_are_left_out_and_counted() -> None:
    data = Dataset.from_records(PAIRS)
    once = data.without_duplicates()
    assert list(once) == list(data)[:3]
    assert once.source.notes == ("1 row that repeats an earlier one was left out, as asked.",)
    assert list(once.without_duplicates()) == list(once)
