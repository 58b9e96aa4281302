"""Files that real people and other projects' test suites left: each reads, or gives one of our errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_kit.errors import FinetuneKitError
from finetune_kit.readers import ReadResult, read_csv, read_file, read_json, read_jsonl, read_xlsx

DATA = Path(__file__).parents[2].parent / "shared" / "data"
NEEDS_DATA = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files, ../shared/data, is not there")


def check_all(folder: str, pattern: str, read: Callable[[Path], ReadResult]) -> int:
    """How many files were read; all others gave one of our errors that names the file."""
    good = 0
    messages: dict[Path, str] = {}
    for path in sorted((DATA / folder).rglob(pattern)):
        try:
            result = read(path)
        except FinetuneKitError as error:
            messages[path] = str(error)
        else:
            source = result.source
            assert source.rows_read == len(result.rows) == len(list(result.rows)) > 0
            good += 1
    assert [path for path, message in messages.items() if str(path) not in message] == []
    return good


@NEEDS_DATA
@pytest.mark.parametrize(
    ("folder", "pattern", "at_least"),
    [
        ("05-bad-input/csv-misc", "*.csv", 1),
        ("05-bad-input/duckdb-csv", "*.csv", 20),
        ("05-bad-input/csv-spectrum", "*.csv", 3),
        ("04-encodings", "*.?sv", 3),
    ],
)
def test_every_table_reads_or_gives_our_error(folder: str, pattern: str, at_least: int) -> None:
    assert check_all(folder, pattern, read_csv) >= at_least


@NEEDS_DATA
def test_every_json_lines_file_reads_or_gives_our_error() -> None:
    assert check_all("03-openai-finetune", "*.jsonl", read_jsonl) >= 20


@NEEDS_DATA
@pytest.mark.parametrize("read", [read_file, read_json, read_jsonl])
def test_every_json_test_file_gives_our_error_or_rows(read: Callable[[Path], ReadResult]) -> None:
    check_all("05-bad-input/JSONTestSuite", "*.json", read)


@NEEDS_DATA
def test_every_workbook_reads_or_gives_our_error() -> None:
    assert check_all("05-bad-input/xlsx", "*.xls*", read_xlsx) >= 20


@NEEDS_DATA
@pytest.mark.parametrize(
    ("folder", "at_least"),
    [
        ("01-support-en", 3),
        ("02-chinese", 2),
        ("03-openai-finetune", 30),
        ("04-encodings/real-exports", 3),
        ("05-bad-input/csv-misc", 3),
        ("07-classification", 2),
    ],
)
def test_every_file_is_detected_or_gives_our_error(folder: str, at_least: int) -> None:
    assert check_all(folder, "*.*", read_file) >= at_least


@NEEDS_DATA
def test_banking77_is_read_whole() -> None:
    result = read_csv(DATA / "01-support-en/banking77/train.csv")
    assert (len(result.rows), result.source.rows_refused) == (10003, 0)
    assert result.source.columns == {"prompt": "text", "completion": "category"}


@NEEDS_DATA
def test_table_with_byte_order_mark_and_windows_line_ends_is_read_whole() -> None:
    result = read_csv(DATA / "01-support-en/bitext-intents-2020/bitext_4k_utf8bom_crlf.csv")
    assert (len(result.rows), result.source.bom) == (3999, True)
    assert result.source.columns == {"prompt": "utterance", "completion": "intent"}


@NEEDS_DATA
def test_file_with_31_broken_lines_gives_the_other_84() -> None:
    result = read_jsonl(DATA / "03-openai-finetune/broken-licensed/missing-brace_31-of-115.jsonl")
    assert (len(result.rows), result.source.rows_refused) == (84, 31)
