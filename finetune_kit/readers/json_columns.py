"""A whole table in one JSON object: a list for each column, or, as pandas writes it, an object by row number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard, cast

from finetune_kit.errors import RowError

Columns = Mapping[str, list[Any]] | Mapping[str, dict[str, Any]]


def has_columns(value: object) -> TypeGuard[Columns]:
    """Whether it is an object whose values can be the columns of a table, as those of a row or of a wrapper are not."""
    columns = list(cast("dict[str, object]", value).values()) if isinstance(value, dict) else []
    if len(columns) < 2:
        return False
    first = columns[0]
    if isinstance(first, list):
        items = cast("list[object]", first)
        return bool(items) and not isinstance(items[0], dict) and all(isinstance(column, list) for column in columns)
    if not isinstance(first, dict) or not first:
        return False
    names = cast("dict[str, object]", first).keys()
    return all(isinstance(column, dict) and cast("dict[str, object]", column).keys() == names for column in columns)


def first_row(table: Columns) -> dict[str, Any]:
    """The first value of each column that has one."""
    return {name: cells[0] for name, column in table.items() if (cells := _cells(column))}


def rows_of_columns(table: Columns) -> Iterator[dict[str, Any]]:
    """The rows; `RowError` where one column is longer than another."""
    first, *others = table
    length = len(table[first])
    for name in others:
        if len(table[name]) != length:
            raise RowError(
                f"the column {first!r} has {length:,} values, and {name!r} {len(table[name]):,}",
                code="ragged_row",
                hint="Each column needs a value for each row, null where there is none",
            )
    for cells in zip(*map(_cells, table.values()), strict=True):
        yield dict(zip(table, cells, strict=True))


def _cells(column: list[Any] | dict[str, Any]) -> list[Any]:
    return column if isinstance(column, list) else list(column.values())
