"""A file is read by what is in it; its name only decides where the content does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune_kit.errors import FormatError, ParameterError
from finetune_kit.readers import read_file
from finetune_kit.records import CompletionExample
from tests.readers.workbooks import write_workbook

ROW = {"prompt": "q", "completion": "a"}
TABLE = "prompt,completion\nq,a\nq,a\n"
LINES = f"{json.dumps(ROW)}\n{json.dumps(ROW)}\n"
ARRAY = json.dumps([ROW, ROW])
PRETTY = json.dumps([ROW, ROW], indent=2)
PAIR = [CompletionExample("q", "a")] * 2


@pytest.mark.parametrize(
    ("name", "content", "format_", "note"),
    [
        ("a.csv", TABLE, "csv", None),
        ("a.tsv", TABLE.replace(",", "\t"), "tsv", None),
        ("a", TABLE, "csv", None),
        ("a.data", TABLE, "csv", None),
        ("a.txt", TABLE, "csv", "named .txt, but holds a table of text"),
        ("a.xls", TABLE.replace(",", "\t"), "tsv", "named .xls, but holds a table of text"),
        ("a.json", TABLE.replace(",", ";"), "csv", "named .json, but holds a table of text"),
        ("a.json", TABLE.replace("prompt", "x"), None, None),
        ("a.jsonl", LINES, "jsonl", None),
        ("a.JSON", LINES, "jsonl", "named .json, but holds JSON Lines"),
        ("a.csv", LINES, "jsonl", "named .csv, but holds JSON Lines"),
        ("a.txt", ARRAY, "json", "named .txt, but holds a JSON document"),
        ("a.json", ARRAY, "json", None),
        ("a.json", PRETTY, "json", None),
        ("a.jsonl", ARRAY, "json", "named .jsonl, but holds a JSON document"),
        ("a.jsonl", PRETTY, "json", "named .jsonl, but holds a JSON document"),
        ("a.json", json.dumps({"data": [ROW, ROW]}), "json", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_content_decides(
    tmp_path: Path, name: str, content: str, format_: str | None, note: str | None, encoding: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    if format_ is None:
        with pytest.raises(FormatError, match="JSON"):
            read_file(path)
        return
    result = read_file(path)
    assert list(result.rows) == PAIR
    assert result.source.format == format_
    told = [text for text in result.source.notes if "is named" in text]
    assert (note in told[0]) if note else not told


@pytest.mark.parametrize("name", ["a.xlsx", "a.csv", "a.xls", "a"])
def test_workbook_under_any_name_is_read(tmp_path: Path, name: str) -> None:
    path = write_workbook(tmp_path / name, {"Data": [["prompt", "completion"], ["q", "a"]]})
    result = read_file(path, sheet="Data")
    assert (len(result.rows), result.source.format) == (1, "xlsx")
    assert any("is named" in text for text in result.source.notes) == (name in ("a.csv", "a.xls"))


def test_prose_in_a_text_file_is_text(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("Hello, world\nGood, bye\n", encoding="utf-8")
    assert read_file(path).source.format == "text"
    assert read_file(path, prompt="Hello", completion="world").source.format == "csv"
    assert read_file(path, delimiter=",").source.format == "csv"


def test_table_in_a_text_file_is_known_by_its_header_in_chinese_too(tmp_path: Path) -> None:
    path = tmp_path / "table.txt"  # as Excel saves "Text (tab delimited)"
    path.write_bytes("问题\t答案\r\n今天晚上吃什么好呢?\t火锅或者烧烤都可以\r\n".encode("gb18030"))
    result = read_file(path)
    assert list(result.rows) == [CompletionExample("今天晚上吃什么好呢?", "火锅或者烧烤都可以")]
    assert (result.source.format, result.source.encoding) == ("tsv", "gb18030")


def test_json_lines_with_a_damaged_first_line_cost_only_that_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"prompt": "q"\n{LINES}', encoding="utf-8")
    source = read_file(path).source
    assert (source.format, source.rows_read, source.rows_refused) == ("jsonl", 2, 1)


@pytest.mark.parametrize(
    ("name", "content", "parameter"),
    [("a.jsonl", LINES, "delimiter"), ("a.csv", TABLE, "sheet"), ("a.txt", "prose\n", "sheet")],
)
def test_parameter_without_a_meaning_is_refused(tmp_path: Path, name: str, content: str, parameter: str) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    given = {"sheet": None, "delimiter": None, parameter: "1"}
    with pytest.raises(ParameterError, match=rf"{parameter}= does not apply") as caught:
        read_file(path, sheet=given["sheet"], delimiter=given["delimiter"])
    assert caught.value.parameter == parameter


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("<!DOCTYPE html>\n<table></table>", "an HTML page"),
        ('<?xml version="1.0"?>\n<rows/>', "an XML document"),
        ("PAR1", "a Parquet file.*Dataset.from_records"),
    ],
)
def test_what_is_no_table_is_called_what_it_is(tmp_path: Path, content: str, what: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(FormatError, match=what):
        read_file(path)


def test_table_form_without_a_meaning_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(LINES, encoding="utf-8")
    with pytest.raises(ParameterError, match="header= does not apply"):
        read_file(path, header=False)
    with pytest.raises(ParameterError, match="quotes= does not apply"):
        read_file(path, quotes=False)
