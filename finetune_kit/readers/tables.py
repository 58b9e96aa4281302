"""Tables in memory: pandas, polars, pyarrow and Hugging Face `datasets`, none of which is imported here."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, cast

from finetune_kit.errors import ColumnError, EmptyDataError, ParameterError, RowError
from finetune_kit.readers.columns import shown
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.shapes import Shape
from finetune_kit.records import JsonValue

_BATCH_ROWS = 1024
_TABLES = {
    ("pandas", "DataFrame"),
    ("polars", "DataFrame"),
    ("pyarrow", "Table"),
    ("pyarrow", "RecordBatch"),
    ("datasets", "Dataset"),
    ("datasets", "IterableDataset"),
}
_ADVICE = {
    ("pandas", "Series"): "Pass a DataFrame, or the values as a list of pairs",
    ("polars", "Series"): "Pass a DataFrame, or the values as a list of pairs",
    ("polars", "LazyFrame"): "Call .collect() first",
    ("datasets", "DatasetDict"): "Choose one of its splits, such as data['train']",
    ("datasets", "IterableDatasetDict"): "Choose one of its splits, such as data['train']",
}
_MISSING = {"NAType", "NaTType"}

Columns = Mapping[str, list[Any]]


def is_table(value: object) -> bool:
    """Whether `read_table` knows what to do, or to say, with it."""
    return _kind(value) in _TABLES or _kind(value) in _ADVICE


def read_table(table: object, *, prompt: str | None = None, completion: str | None = None) -> ReadResult:
    """Read a pandas or polars `DataFrame`, a pyarrow `Table` or a Hugging Face `Dataset`, a thousand rows at a time.

    A missing value is null, never a text such as "nan"; "NA" stays a text. Dates and decimals become text, and so do
    the numbers of a `ClassLabel`, by their names.
    """
    kind = _kind(table)
    if kind not in _TABLES:
        advice = _ADVICE.get(kind, "Pass a pandas or polars DataFrame, a pyarrow Table or a Hugging Face Dataset")
        raise ParameterError(f"{'.'.join(kind)} is not a table that can be read. {advice}.", parameter="table")
    shape, intake = Shape(prompt=prompt, completion=completion), Intake(None)
    _check_names(table, kind[0])
    number = 0
    for columns in _batches(table, kind[0]):
        names = list(columns)
        for cells in zip(*columns.values(), strict=True):
            number += 1
            row = {name: _json(cell) for name, cell in zip(names, cells, strict=True)}
            try:
                intake.accept(shape.example(row), line=number, raw=row)
            except RowError as error:
                intake.refuse(error, line=number, raw=row)
    if not number:
        raise EmptyDataError("The table has no rows. Check where it comes from.")
    return intake.finish(
        Understanding(format=kind[0], columns=shape.columns(intake.kind), notes=shape.notes(intake.kind))
    )


def _kind(table: object) -> tuple[str, str]:
    """The package and the class, also of a subclass that somebody made."""
    for class_ in type(table).__mro__:
        kind = (class_.__module__.partition(".")[0], class_.__name__)
        if kind in _TABLES or kind in _ADVICE:
            return kind
    return type(table).__module__.partition(".")[0], type(table).__name__


def _check_names(table: Any, package: str) -> None:
    listed: Iterable[object] = table.columns if package in ("pandas", "polars") else table.column_names or ()
    names = [str(name) for name in listed]
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise ColumnError(f"The table has columns of the same name: {shown(twice)}. Rename or drop them.")


def _batches(table: Any, package: str) -> Iterator[Columns]:
    if package == "pandas":
        for start in range(0, len(table), _BATCH_ROWS):
            part = table.iloc[start : start + _BATCH_ROWS]
            yield {str(name): part[name].tolist() for name in part.columns}
    elif package == "polars":
        for part in table.iter_slices(_BATCH_ROWS):
            yield part.to_dict(as_series=False)
    elif package == "pyarrow":
        for part in table.to_batches(max_chunksize=_BATCH_ROWS) if hasattr(table, "to_batches") else [table]:
            yield part.to_pydict()
    else:
        yield from _huggingface(table)


def _huggingface(table: Any) -> Iterator[Columns]:
    plain = table.with_format(None)  # not tensors
    features: Mapping[str, Any] = table.features or {}
    labels = {name: feature for name, feature in features.items() if hasattr(feature, "int2str")}
    for batch in plain.iter(batch_size=_BATCH_ROWS):
        for name, feature in labels.items():
            # -1 stands for an example whose label is not known.
            batch[name] = [None if value is None or value < 0 else feature.int2str(value) for value in batch[name]]
        yield batch


def _json(value: Any) -> JsonValue:
    """A cell as JSON holds it; what has no JSON form is left for the row to be refused by name."""
    if type(value).__name__ in _MISSING:  # before dates, of which pandas' NaT is one
        return None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, datetime | date | time | timedelta | Decimal):
        return str(value)
    return _nested(value)


def _nested(value: Any) -> JsonValue:
    if isinstance(value, Mapping):
        return {key: _json(item) for key, item in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in cast("list[Any]", value)]
    if hasattr(value, "tolist"):  # an array or a number of NumPy, which becomes Python's own
        return _json(value.tolist())
    return cast("JsonValue", value)
