"""Plain text gives a completion a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import EmptyDataError, FormatError
from finetune_kit.readers import read_text
from finetune_kit.readers.text import LONGEST_LINE
from finetune_kit.records import CompletionExample

LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0")).filter(
    lambda line: not line.isspace()
)


@given(
    st.lists(LINES, min_size=1).filter(any),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_each_line_comes_back_with_its_number(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], end: str, encoding: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(end.join(lines).encode(encoding))
    rows = read_text(path).rows
    assert list(rows) == [CompletionExample("", line) for line in lines if line]
    assert [rows.origin(number).line for number in range(len(rows))] == [n for n, line in enumerate(lines, 1) if line]


def test_spaces_are_kept_and_blank_lines_are_not(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_text(" 你好 \n\n \t\nNA\n", encoding="gb18030")
    result = read_text(path, encoding="gb18030")
    assert list(result.rows) == [CompletionExample("", " 你好 "), CompletionExample("", "NA")]
    assert (result.source.format, result.source.rows_in, result.source.columns) == ("text", 2, {})
    assert result.source.notes == ("Each line was taken as a completion without a prompt.",)


def test_nul_costs_its_line_only(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"a\nb\0\nc\n")
    assert [(refusal.line, refusal.code) for refusal in read_text(path).source.refusals] == [(2, "nul")]


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\n \n")
    with pytest.raises(EmptyDataError):
        read_text(path)


def test_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"a\n" + b"x" * (LONGEST_LINE + 1))
    with pytest.raises(FormatError, match=r"row 2: the line is longer than"):
        read_text(path)
