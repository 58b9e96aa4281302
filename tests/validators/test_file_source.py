"""What was guessed or set right while reading is told in the report."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from finetune_kit.dataset import Dataset
from finetune_kit.hosts import file_rules
from finetune_kit.validators import FileSource, Severity

LINES = b'{"prompt":"Where is my parcel?","completion":"At your neighbour\'s."}\n'
TABLE = "prompt,completion\n今天晚上吃什么好呢?,吃火锅\n我的包裹在哪里?,在邻居家\n"


def notes(path: Path, host: str = "openai") -> list[str]:
    data = Dataset.from_file(path)
    issues = data.validate([FileSource(file_rules(host), data.source)]).issues
    assert {issue.severity for issue in issues} <= {Severity.INFO}
    return [issue.message for issue in issues]


@pytest.mark.parametrize(
    ("mark", "host", "told"),
    [
        (b"", "openai", []),
        (codecs.BOM_UTF8, "openai", ["the file begins with a byte-order mark, which 'openai' refuses"]),
        (b"", "azure", ["the file begins without the byte-order mark that 'azure' wants"]),
        (codecs.BOM_UTF8, "azure", []),
    ],
)
def test_a_byte_order_mark_is_told_where_the_host_wants_it_otherwise(
    mark: bytes, host: str, told: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(mark + LINES)
    assert notes(path, host) == told


def test_a_table_is_not_uploaded_so_its_mark_is_nobodys_business(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE, encoding="utf-8-sig")
    assert notes(path) == notes(path, "azure") == []


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16"])
def test_another_encoding_is_told_once(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(TABLE, encoding=encoding)
    [message] = notes(path)
    assert encoding in message


def test_the_readers_guesses_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("question;answer\nWhere?;Here, on the left\nWhen?;Now\n", encoding="utf-8")
    assert any("separated by ';'" in message for message in notes(path))
