"""Result files of hosts, as they come, become typed rows."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import FormatError
from finetune_kit.results import MetricRow, Results

REAL = Path(__file__).parents[1].parent / "shared" / "data" / "06-finetune-results"
MODERN = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"


@pytest.mark.parametrize("encoded", [bytes, base64.b64encode, base64.encodebytes], ids=["plain", "base64", "wrapped"])
def test_plain_and_base64_files_are_the_same(encoded: type[bytes]) -> None:
    """OpenAI's API gives base64, other hosts the CSV itself."""
    results = Results.parse(encoded(MODERN + b"1,2.5,0.5,,\n2,1.5,0.75,1.25,0.7\n"))
    assert results.metrics == (
        MetricRow(step=1, train_loss=2.5, train_accuracy=0.5),
        MetricRow(step=2, train_loss=1.5, train_accuracy=0.75, valid_loss=1.25, valid_accuracy=0.7),
    )
    assert results.validations == results.metrics[1:]
    assert repr(results) == "<Results: 2 steps, last training loss 1.5000, last validation loss 1.2500>"


@pytest.mark.parametrize("cell", [b"", b" ", b"-1", b"-1.0", b"nan", b"NaN", b"inf"])
def test_what_was_not_measured_is_none(cell: bytes) -> None:
    assert Results.parse(MODERN + b"1,0.5,," + cell + b",\n").metrics == (MetricRow(step=1, train_loss=0.5),)


def test_the_whole_validation_set_counts_more_than_a_batch_of_it() -> None:
    """Azure has columns for both, in an order that may change; blanks and -1 in one leave the other."""
    header = b"full_valid_loss,step,valid_loss,train_mean_token_accuracy,validation_mean_token_accuracy\n"
    results = Results.parse(header + b"0.5,1,0.9,0.8,0.7\n-1,2,0.9,,\n,3,,,\n")
    assert [row.valid_loss for row in results.metrics] == [0.5, 0.9, None]
    assert (results.metrics[0].train_accuracy, results.metrics[0].valid_accuracy) == (0.8, 0.7)


def test_a_byte_order_mark_and_other_line_ends_do_no_harm() -> None:
    assert Results.parse(b"\xef\xbb\xbfstep,train_loss\r\n1,0.5\r\n").metrics == (MetricRow(step=1, train_loss=0.5),)


def test_a_file_without_rows_has_no_steps() -> None:
    assert repr(Results.parse(MODERN)) == "<Results: no steps>"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'step'; its header is None"),
        (b"<html>", "no column 'step'"),
        (b"loss,epoch\n1,2\n", "no column 'step'"),
        (b"\xff\xfe,", "not UTF-8"),
        (base64.b64encode(b"\xff\xfe\xff"), "not UTF-8"),
        (MODERN + b"1,much,,,\n", "row 2 of the result file: train_loss is 'much', not a number"),
        (MODERN + b"1,0.5,,,\n,0.5,,,\n", "row 3 of the result file has no step number"),
        (MODERN + b"1.5,0.5,,,\n", "row 2 of the result file has no step number"),
        (MODERN + b'1,"' + b"0" * 200_000 + b'",,,\n', "the result file is not CSV behind row 1"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_what_is_no_result_file_is_refused_with_its_row(content: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        Results.parse(content)


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda noise: MODERN + noise))
def test_any_bytes_are_parsed_or_refused(content: bytes) -> None:
    with suppress(FormatError):
        assert isinstance(Results.parse(content), Results)


def real_files() -> list[Path]:
    return sorted(REAL.glob("*-csv/*.csv"))


@pytest.mark.skipif(not real_files(), reason="no real result files under ../shared/data/06-finetune-results")
def test_real_files_of_today_and_of_the_old_api_are_read_whole() -> None:
    for path in real_files():
        content = path.read_bytes()
        results = Results.parse(content)
        assert len(results) == len(content.split()) - 1, path.name
        assert [row.step for row in results.metrics] == list(range(1, len(results) + 1)), path.name
        assert all(row.train_loss is not None and row.train_accuracy is not None for row in results.metrics), path.name
        assert bool(results.validations) is (b"valid" in content and "no-valid" not in path.name), path.name
