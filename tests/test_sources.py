"""Every door into a `Dataset` gives the same examples."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from finetune_kit import CompletionExample, Dataset
from tests.readers.workbooks import write_workbook

PAIRS = [("Where is my parcel?", "track"), ("退款到账了吗?", "refund"), ('I said "no"', "007")]
EXPECTED = [CompletionExample(prompt, completion) for prompt, completion in PAIRS]


def as_json(pairs: list[tuple[str, str]]) -> str:
    return json.dumps([{"prompt": prompt, "completion": completion} for prompt, completion in pairs], indent=2)


def examples(data: Dataset) -> list[CompletionExample]:
    return [example for example in data if isinstance(example, CompletionExample)]


def test_json_array(tmp_path: Path) -> None:
    path = tmp_path / "support.json"
    path.write_text(as_json(PAIRS), encoding="utf-8")
    assert examples(Dataset.from_json(path)) == EXPECTED


def test_file_is_read_by_its_content_and_the_wrong_suffix_is_told(tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_bytes(gzip.compress(as_json(PAIRS).encode("utf-8")))
    data = Dataset.from_file(path)
    assert examples(data) == EXPECTED
    assert data.source.format == "json"
    assert any("csv" in note for note in data.source.notes)


def test_tab_separated(tmp_path: Path) -> None:
    path = tmp_path / "support.tsv"
    path.write_text("prompt\tcompletion\na, b\tc;d\n", encoding="utf-8")
    assert examples(Dataset.from_tsv(path)) == [CompletionExample("a, b", "c;d")]


def test_text_is_completions_without_prompts(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text("first\n\nsecond\n", encoding="utf-8")
    assert examples(Dataset.from_text(path)) == [CompletionExample("", "first"), CompletionExample("", "second")]


def test_workbook_keeps_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "support.xlsx"
    write_workbook(path, {"Tickets": [["prompt", "completion"], *PAIRS]})
    data = Dataset.from_xlsx(path, sheet="Tickets")
    assert examples(data) == EXPECTED
    assert data.source.format == "xlsx"


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(PAIRS, columns=["prompt", "completion"])
    assert examples(Dataset.from_pandas(frame)) == EXPECTED


def test_polars() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"prompt": [p for p, _ in PAIRS], "completion": [c for _, c in PAIRS]})
    assert examples(Dataset.from_polars(frame)) == EXPECTED
