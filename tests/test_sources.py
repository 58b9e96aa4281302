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


def test_source_shows_how_the_file_was_read_and_its_first_rows(tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_text(
        "问题;回答\n今天吃什么;饺子\n明天呢;" + "面" * 200 + "\n再后来;米\n然后;粥\n坏\n", encoding="gb18030"
    )
    source = Dataset.from_csv(path).source
    assert [len(json.dumps(row.content())) > 0 for row in source.first_rows] == [True] * 3
    lines = str(source).splitlines()
    assert lines[0].startswith(f"{path}: csv in gb18030 (confidence ")
    assert lines[0].endswith("separated by ';'); 4 rows read, 1 refused")
    assert lines[1:3] == ["  prompt is '问题'", "  completion is '回答'"]
    assert lines[3] == '  {"prompt":"今天吃什么","completion":"饺子"}'
    assert len(lines[4]) < 120
    assert lines[-1] == "  refused: row has 1 cell where the header has 2 (row 6)"
    assert "refused_rows" not in repr(source)
