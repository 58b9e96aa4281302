"""Files that real people and other projects' test suites left: each reads, or gives one of our errors."""

from __future__ import annotations

import codecs
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

import chardet
import pytest

from finetune_kit.errors import EncodingError, FinetuneKitError
from finetune_kit.readers import ReadResult, read_csv, read_file, read_json, read_jsonl, read_xlsx
from finetune_kit.readers.encodings import TextEncoding, in_encoding, text_pieces
from finetune_kit.readers.evidence import SUPERSETS
from finetune_kit.records import CompletionExample

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


@NEEDS_DATA
def test_encodings_are_found_at_least_as_often_as_by_chardet_and_never_wrongly_with_confidence() -> None:
    """Compared by the text, under the folder's encoding or the superset that Windows writes in its place."""
    found_by_chardet, found = set[Path](), set[Path]()
    for path in sorted((DATA / "04-encodings/char-dataset").glob("*/*")):
        true = path.parent.name
        if true == "None":
            continue
        content = path.read_bytes()
        right = {decoded_text(content, codec) for codec in (true, *SUPERSETS.get(codecs.lookup(true).name, ()))} - {
            None
        }
        if decoded_text(content, chardet.detect(content)["encoding"] or "ascii") in right:
            found_by_chardet.add(path)
        try:
            with path.open("rb") as file:
                text, confidence = in_encoding(file, partial(text_and_confidence, file), path=str(path))
        except EncodingError:
            continue
        if text in right:
            found.add(path)
        else:
            assert confidence is not None
            assert confidence < 0.5, path
    assert len(found_by_chardet) > 100
    assert found >= found_by_chardet


def decoded_text(content: bytes, codec: str) -> str | None:
    try:
        return content.decode(codec).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None


def text_and_confidence(file: BufferedReader, encoding: TextEncoding) -> tuple[str, float | None]:
    return "".join(text_pieces(file, encoding)).removeprefix("\ufeff"), encoding.confidence


@NEEDS_DATA
def test_csv_spectrum() -> None:
    """Twelve tables of edge cases, each with the values that it holds."""
    expected = sorted((DATA / "05-bad-input/csv-spectrum/json").glob("*.json"))
    for path in expected:
        text = path.read_text(encoding="utf-8")
        if path.stem == "location_coordinates":  # whose two files name different telephone numbers
            text = text.replace("1234567890", "2095257564")
        table = path.parent.parent / "csvs" / f"{path.stem}.csv"
        if b"\r" not in table.read_bytes():  # as a check-out of the repository may leave it
            text = text.replace("\\r\\n", "\\n")
        value: Any = json.loads(text)
        rows: list[dict[str, str]] = value if isinstance(value, list) else [value]
        first, second, *others = rows[0]
        examples = list(read_csv(table, prompt=first, completion=second).rows)
        assert examples == [
            CompletionExample(row[first], row[second], {name: row[name] for name in others}) for row in rows
        ], path.name
    assert len(expected) == 12


@NEEDS_DATA
@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured by getrusage")
@pytest.mark.parametrize("folder", ["csv-misc", "duckdb-csv", "csv-spectrum", "xlsx", "JSONTestSuite"])
def test_no_bad_file_takes_much_memory_or_time(folder: str) -> None:
    """In a process of its own, which the parser of workbooks' own process counts to."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(DATA / "05-bad-input" / folder)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    files, most_mb = done.stdout.split()
    assert int(files) > 10
    assert float(most_mb) < 200


MEASURE = """
import resource, sys
from pathlib import Path
from finetune_kit.errors import FinetuneKitError
from finetune_kit.readers import read_file

def peak():
    return max(resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
files = 0
for path in sorted(Path(sys.argv[1]).rglob("*.*")):
    if path.is_file():
        files += 1
        try:
            read_file(path)
        except FinetuneKitError:
            pass
print(files, peak() - before)
"""
