"""Result files of hosts, as they come, become typed rows."""

from __future__ import annotations

import base64
import pickle
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import FormatError
from finetune_kit.results import ClassificationRow, MetricRow, Results

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


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace(",", ";").encode(),
        lambda text: text.replace(",", "\t").encode(),
        lambda text: text.upper().replace(",", " , ").encode(),
        lambda text: '"step"' + text.removeprefix("step").strip() + b"\n\n\0\0\x1a".decode(),
        lambda text: base64.b64encode(text.encode("utf-8-sig")),
        lambda text: base64.b64encode(text.encode("utf-16")),
        lambda text: base64.encodebytes(text.encode()).replace(b"\n", b"\r\n"),
        lambda text: base64.urlsafe_b64encode(text.encode()).rstrip(b"="),
        lambda text: b"\xef\xbb\xbf" + base64.b64encode(text.encode()),
    ],
)
def test_one_file_in_all_its_disguises(encode: Callable[[str], bytes | str]) -> None:
    text = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n" + "".join(
        f"{step},{1 / step:.5f},0.5,,\n" for step in range(1, 40)
    )
    disguised = encode(text)
    results = Results.parse(disguised if isinstance(disguised, bytes) else disguised.encode())
    assert [row.step for row in results.metrics] == list(range(1, 40))
    assert all(row.train_loss and row.train_accuracy == 0.5 for row in results.metrics)


def test_a_file_whose_rows_are_all_digits_is_not_taken_for_base64() -> None:
    assert [row.step for row in Results.parse(b"step\n1\n22\n3").metrics] == [1, 22, 3]


def test_what_only_some_hosts_measure_is_kept_by_its_name() -> None:
    header = (
        b"step,elapsed_tokens,training_loss,training_sequence_accuracy,training_token_accuracy,note,validation_loss\n"
    )
    [row] = Results.parse(header + b"3,386,0.25,0.0,0.75,warm-up,-1\n").metrics
    assert row == MetricRow(
        step=3,
        train_loss=0.25,
        train_accuracy=0.75,
        more={"elapsed_tokens": 386.0, "training_sequence_accuracy": 0.0},
    )


def test_the_loss_of_a_batch_is_kept_beside_that_of_the_whole_set() -> None:
    [row] = Results.parse(b"step,valid_loss,full_valid_loss\n1,0.9,0.5\n").metrics
    assert (row.valid_loss, row.more) == (0.5, {"valid_loss": 0.9})


def test_rewards_may_be_minus_one() -> None:
    header = b"step,train_mean_reward,full_valid_mean_reward,full_valid_mean_parse_error,train_reasoning_tokens_mean\n"
    first, last = Results.parse(header + b"1,-1,,0.5,120\n2,0.25,-0.5,,-1\n").metrics
    assert (first.train_reward, first.valid_reward) == (-1.0, None)
    assert first.more == {"full_valid_mean_parse_error": 0.5, "train_reasoning_tokens_mean": 120.0}
    assert (last.train_reward, last.valid_reward, last.train_loss) == (0.25, -0.5, None)


def test_a_host_may_have_columns_of_its_own() -> None:
    content = b"step,Loss/Train,loss/eval,train_loss\n1,2.5,1.5,9\n"
    columns = {"train_loss": ("loss/train",), "valid_loss": ("Loss/Eval",), "no_field_of_ours": ("x",)}
    [row] = Results.parse(content, columns=columns).metrics
    assert (row.train_loss, row.valid_loss, row.more) == (2.5, 1.5, {"train_loss": 9.0})


def test_classes_that_the_host_measured_are_rows_of_their_own() -> None:
    header = b"step,training_loss,classification/accuracy,classification/f1.0\n"
    results = Results.parse(header + b"1,0.5,,\n2,0.4,0.75,0.5\n")
    assert results.classification_rows == (ClassificationRow(2, {"accuracy": 0.75, "f1.0": 0.5}),)
    assert results.metrics[1].more == {}
    assert results.classification is None, "nobody asked to measure it here"


def test_what_is_too_large_to_be_a_result_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_kit.result_files.MAX_BYTES", 100)
    with pytest.raises(FormatError, match="has 266 bytes, and none that is one has more than 100"):
        Results.parse(MODERN + b"1,0.5,0.5,0.5,0.5\n" + b"2,0.5,0.5,0.5,0.5\n" * 10)


@given(
    st.lists(
        st.tuples(*[st.none() | st.floats(-1e300, 1e300).filter(lambda number: number != -1)] * 5),
        max_size=20,
    )
)
def test_what_is_saved_is_read_again(rows: list[tuple[float | None, ...]]) -> None:
    metrics = tuple(
        MetricRow(step, one, two, three, four, more={} if elapsed is None else {"elapsed": elapsed})
        for step, (one, two, three, four, elapsed) in enumerate(rows)
    )
    classification = tuple(ClassificationRow(row.step, {"accuracy": 0.5}) for row in metrics if row.train_loss)
    with tempfile.TemporaryDirectory() as folder:
        path = Results(metrics, classification).save(Path(folder) / "deep" / "er")
        assert Results.parse(path.read_bytes()) == Results(metrics, classification)


def test_results_can_be_sent_to_another_process() -> None:
    results = Results((MetricRow(1, 0.5),), classify=lambda: None)
    assert pickle.loads(pickle.dumps(results)) == results


def test_a_byte_order_mark_and_other_line_ends_do_no_harm() -> None:
    assert Results.parse(b"\xef\xbb\xbfstep,train_loss\r\n1,0.5\r\n").metrics == (MetricRow(step=1, train_loss=0.5),)


def test_a_file_without_rows_has_no_steps() -> None:
    assert repr(Results.parse(MODERN)) == "<Results: no steps>"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'step'; its header is ''"),
        (b"<html>", "no column 'step'"),
        (b"loss,epoch\n1,2\n", "no column 'step'"),
        (b"\xff\xfe,", "is not text"),
        (base64.b64encode(b"\xff\xfe\xff"), "is not text"),
        (MODERN + b"1,0.5,,,\n2,0.4", "row 3 of the result file has 2 cells, and the header 5: it is damaged"),
        (MODERN + b"1,0.5,,,\n2,0.4,,,,7\n", "row 3 of the result file has 6 cells"),
        (MODERN + b"1,0.5,,,\n</html>\n", "row 3 of the result file has 1 cells"),
        (MODERN + b"-1,0.5,,,\n", "row 2 of the result file has no step number"),
        (MODERN + b"1e999,0.5,,,\n", "row 2 of the result file has no step number"),
        (MODERN + b"1,much,,,\n", "row 2 of the result file: train_loss is 'much', not a number"),
        (MODERN + b"1,0.5,,,\n,0.5,,,\n", "row 3 of the result file has no step number"),
        (MODERN + b"1.5,0.5,,,\n", "row 2 of the result file has no step number"),
        (MODERN + b'1,"' + b"0" * 200_000 + b'",,,\n', "row 2 of the result file is not CSV"),
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
        assert bool(results.classification_rows) is (b"classification/" in content), path.name
        assert ("elapsed_tokens" in results.metrics[0].more) is (b"elapsed_tokens" in content), path.name
        assert Results.parse(base64.encodebytes(content)) == results, path.name
