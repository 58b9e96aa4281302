"""Rows made of rows: changed one by one, chosen, drawn by lot, put behind one another."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from finetune_kit._arguments import MAX_SEED, whole_number
from finetune_kit._canonical import kind_of
from finetune_kit._user_code import as_example, as_truth, called, name_of
from finetune_kit.errors import ParameterError, RowError
from finetune_kit.records import Example
from finetune_kit.rows import Origin, Place, Rows, RowsBuilder


def map_rows(rows: Rows, function: Callable[[Any], Example]) -> Rows:
    """What the function makes of each row, with the row's origin."""
    builder: RowsBuilder | None = None
    name = name_of(function)
    for row, example in enumerate(rows):
        origin = rows.origin(row)
        result: object = called(function, example, name=name, where=origin, parameter="fn")
        made = as_example(result, name=name, where=origin, parameter="fn")
        builder = builder or RowsBuilder(kind_of(made), path=origin.path)
        _add(builder, made, origin, name)
    return rows if builder is None else builder.build()


def _add(builder: RowsBuilder, made: Example, origin: Origin, name: str) -> None:
    if kind_of(made) != builder.kind:
        raise ParameterError(
            f"{origin}: {name} returned a {kind_of(made)} example, and {builder.kind} examples for the "
            "rows before. A data set holds one kind: return the same for all, or filter the rows apart first.",
            parameter="fn",
        )
    try:
        builder.add_from(made, origin)
    except RowError as error:
        raise ParameterError(
            f"{origin}: {name} returned an example that cannot be kept: {error}. {error.hint}.",
            parameter="fn",
        ) from error


def filter_rows(rows: Rows, function: Callable[[Any], bool]) -> array[int]:
    """The numbers of the rows for which the function returns True."""
    kept, name = array("Q"), name_of(function)
    for row, example in enumerate(rows):
        where = Place(rows, row)
        result: object = called(function, example, name=name, where=where, parameter="fn")
        if as_truth(result, name=name, where=where, parameter="fn"):
            kept.append(row)
    return kept


def sample_rows(count: int, n: int, *, seed: int) -> array[int]:
    """`n` of `count` numbers in rising order, each set of that size as likely as any other."""
    wanted = whole_number("n", n, 0, count)
    # Of `Random`, only the sequence of `random()` is promised to be the same in every version of Python.
    draw = Random(whole_number("seed", seed, 0, MAX_SEED)).random
    chosen = array("Q")
    for number in range(count):
        if draw() * (count - number) < wanted - len(chosen):
            chosen.append(number)
    return chosen


def concat_rows(parts: Sequence[Rows]) -> Rows:
    """All rows of all parts in order, each with its own origin; copied as bytes. `ParameterError` for two kinds."""
    for rows in parts:
        if rows.kind != parts[0].kind:
            raise ParameterError(
                f"these are {parts[0].kind} examples and the others {rows.kind} examples. Convert one of the two, by "
                "to_chat() or to_completion().",
                parameter="other",
            )
    builder = RowsBuilder(parts[0].kind, path=parts[0].paths[0])
    for rows in parts:
        for batch in rows.batches():
            builder.copy(rows, range(batch.start, batch.start + len(batch)))
    return builder.build()
