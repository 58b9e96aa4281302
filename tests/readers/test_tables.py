"""Tables in memory are read without importing what made them, and nothing in them changes its meaning."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from finetune_kit.errors import ColumnError, EmptyDataError, ParameterError
from finetune_kit.readers import read_records, read_table
from finetune_kit.records import ChatExample, CompletionExample, Message

DAY = dt.date(2024, 1, 5)


def test_pandas_values_keep_their_meaning() -> None:
    pd: Any = pytest.importorskip("pandas")
    frame = pd.DataFrame(
        {
            "prompt": ["NA", "nan", "", None],
            "completion": ["a", "b", "c", "d"],
            "n": [1.5, float("nan"), 3.0, 4.0],
            "i": pd.array([1, None, 3, 4], dtype="Int64"),
            "day": pd.to_datetime(["2024-01-05", None, "2024-01-05", "2024-01-05"]),
            "kind": pd.Categorical(["x", None, "y", "x"]),
        }
    )
    result = read_table(frame)
    assert list(result.rows) == [
        CompletionExample("NA", "a", {"n": 1.5, "i": 1, "day": "2024-01-05 00:00:00", "kind": "x"}),
        CompletionExample("nan", "b", {"n": None, "i": None, "day": None, "kind": None}),
        CompletionExample("", "c", {"n": 3.0, "i": 3, "day": "2024-01-05 00:00:00", "kind": "y"}),
    ]
    assert (result.source.format, result.source.path) == ("pandas", None)
    assert [(refusal.line, refusal.reason) for refusal in result.source.refusals] == [(4, "prompt is null")]


def test_pandas_is_read_in_order_beyond_one_batch() -> None:
    pd: Any = pytest.importorskip("pandas")
    frame = pd.DataFrame({"question": [f"q{n}" for n in range(3000)], "answer": "a"}, index=range(3000, 0, -1))
    rows = read_records(frame).rows
    assert [row.prompt for row in rows if isinstance(row, CompletionExample)] == [f"q{n}" for n in range(3000)]
    assert str(rows.origin(2999)) == "record 3000"


def test_pandas_faults_are_named() -> None:
    pd: Any = pytest.importorskip("pandas")
    with pytest.raises(ColumnError, match="columns of the same name: 'a'"):
        read_table(pd.DataFrame([["1", "2"]], columns=["a", "a"]))
    with pytest.raises(EmptyDataError):
        read_table(pd.DataFrame({"prompt": [], "completion": []}))
    with pytest.raises(ParameterError, match=r"pandas\.Series is not a table.*Pass a DataFrame"):
        read_records(pd.Series(["a"]))


def test_polars_values_keep_their_meaning() -> None:
    pl: Any = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {"prompt": ["NA", None], "completion": ["a", "b"], "n": [float("nan"), 1.0], "d": [Decimal("1.10")] * 2}
    )
    result = read_table(frame)
    assert list(result.rows) == [CompletionExample("NA", "a", {"n": None, "d": "1.10"})]
    assert (result.source.format, result.source.rows_refused) == ("polars", 1)
    with pytest.raises(ParameterError, match=r"Call \.collect\(\) first"):
        read_table(frame.lazy())


def test_arrow_tables_are_read() -> None:
    pa: Any = pytest.importorskip("pyarrow")
    table = pa.table({"text": ["NA", "x"], "label": ["a", "b"], "day": [DAY, None], "list": [[1], []]})
    expected = [
        CompletionExample("NA", "a", {"day": "2024-01-05", "list": [1]}),
        CompletionExample("x", "b", {"day": None, "list": []}),
    ]
    assert list(read_table(table).rows) == list(read_table(table.to_batches()[0]).rows) == expected


def test_hugging_face_labels_are_read_by_their_names() -> None:
    datasets: Any = pytest.importorskip("datasets")
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["refund", "track"])}
    )
    data = datasets.Dataset.from_dict({"text": ["x", "y", "z"], "label": [1, 0, -1]}, features=features)
    for table in (data, data.with_format("numpy"), data.to_iterable_dataset()):
        result = read_table(table)
        assert list(result.rows) == [CompletionExample("x", "track"), CompletionExample("y", "refund")]
        assert result.source.refusals[0].reason == "label is null"
    with pytest.raises(ParameterError, match=r"data\['train'\]"):
        read_table(datasets.DatasetDict(train=data))


def test_hugging_face_conversations_are_read() -> None:
    datasets: Any = pytest.importorskip("datasets")
    data = datasets.Dataset.from_list([{"messages": [{"role": "user", "content": "Hi"}]}])
    assert list(read_table(data).rows) == [ChatExample((Message("user", "Hi"),))]


class DataFrame:
    """Looks like polars', so that the walk over batches is tested where polars is not installed."""

    __module__ = "polars.dataframe.frame"
    columns = ("prompt", "completion", "n")

    def iter_slices(self, size: int) -> list[DataFrame]:
        return [self, self]

    def to_dict(self, *, as_series: bool) -> dict[str, list[object]]:
        return {"prompt": ["NA", "x"], "completion": ["a", "b"], "n": [float("nan"), DAY]}


def test_tables_are_known_by_the_package_of_their_type() -> None:
    rows = read_records(DataFrame()).rows  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    first, second = CompletionExample("NA", "a", {"n": None}), CompletionExample("x", "b", {"n": "2024-01-05"})
    assert list(rows) == [first, second, first, second]


@pytest.mark.parametrize("value", [4, "text", [("q", "a")], None])
def test_other_values_are_no_table(value: object) -> None:
    with pytest.raises(ParameterError, match="is not a table that can be read"):
        read_table(value)
