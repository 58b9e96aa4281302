"""A file that a host would refuse for its size is known before it is written."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.hosts import FileRules, file_rules
from finetune_kit.records import CompletionExample
from finetune_kit.validators import FileSize, Severity, validate
from finetune_kit.writing import write_rows
from tests.rows_of import completions, many, rows_of

AZURE = file_rules("azure")


def taking(size_bytes: int, host: FileRules = AZURE) -> FileRules:
    return host.model_copy(update={"max_file_bytes": size_bytes})


def severities(size_bytes: int, written: int) -> list[Severity]:
    rule = FileSize(taking(size_bytes))
    rows = many(300)
    assert sum(rows.content_lengths()) + 3 == written
    return [issue.severity for issue in validate(rows, [rule]).issues]


def test_one_byte_too_many_is_an_error_and_one_byte_less_is_not() -> None:
    written = sum(many(300).content_lengths()) + 3
    assert severities(written - 1, written) == [Severity.ERROR]
    assert severities(written, written) == [Severity.INFO]
    assert severities(written * 2, written) == []


def test_the_message_names_the_sizes_and_the_date_of_the_limit() -> None:
    [issue] = validate(completions(("a", "b")), [FileSize(taking(7))]).issues
    assert issue.message == "the file would have 35 bytes, and 'azure' takes at most 7 in one file (2026-11-22)"


@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.booleans()), min_size=1, max_size=5))
def test_what_is_judged_is_what_would_be_written(rows: list[tuple[str, str, bool]]) -> None:
    texts = [(p.encode(errors="ignore").decode(), c.encode(errors="ignore").decode(), m) for p, c, m in rows]
    data = rows_of(CompletionExample(p, c, {"more": 1} if m else {}) for p, c, m in texts)
    [issue] = validate(data, [FileSize(taking(0))]).issues
    assert f"{sum(data.content_lengths()) + 3:,} bytes" in issue.message


def test_the_size_is_that_of_the_written_file(tmp_path: Path) -> None:
    written = write_rows(many(300), tmp_path / "a.jsonl", AZURE)
    assert severities(written.size_bytes - 1, written.size_bytes) == [Severity.ERROR]
