"""Records in memory: dicts, pairs or examples, from any iterable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from finetune_kit.errors import ParameterError, RowError
from finetune_kit.readers.intake import Intake, ReadResult, Understanding
from finetune_kit.readers.refusals import wrong_type
from finetune_kit.readers.shapes import Shape
from finetune_kit.readers.tables import is_table, read_table
from finetune_kit.records import ChatExample, CompletionExample, Example, PreferenceExample


def read_records(records: Iterable[object], *, prompt: str | None = None, completion: str | None = None) -> ReadResult:
    """Read dicts as JSON Lines holds them, (prompt, completion) pairs, `Example` objects, or a table in memory."""
    if is_table(records):
        return read_table(records, prompt=prompt, completion=completion)
    if isinstance(records, Mapping | str | bytes):
        raise ParameterError("Records come as an iterable of rows, not as one row or text. Put it into a list.")
    shape = Shape(prompt=prompt, completion=completion)
    intake = Intake(None)
    for number, record in enumerate(records, 1):
        try:
            example = _example(record, shape)
        except RowError as error:
            intake.refuse(error, line=number, raw=record)
        else:
            intake.accept(example, line=number, raw=record)
    return intake.finish(
        Understanding(format="records", columns=shape.columns(intake.kind), notes=shape.notes(intake.kind))
    )


def _example(record: object, shape: Shape) -> Example:
    if isinstance(record, CompletionExample | ChatExample | PreferenceExample):
        return record
    if isinstance(record, Mapping):
        return shape.example(cast("Mapping[str, Any]", record))
    if isinstance(record, tuple | list):
        return _pair(cast("Sequence[object]", record))
    raise wrong_type("the record", record, hint="Give a dict, a (prompt, completion) pair or an example")


def _pair(record: Sequence[object]) -> CompletionExample:
    if len(record) != 2:
        raise RowError(
            f"the record has {len(record)} items",
            code="wrong_type",
            hint="Give a pair of prompt and completion, or a dict",
        )
    prompt, completion = record
    if not isinstance(prompt, str):
        raise wrong_type("prompt", prompt)
    if not isinstance(completion, str):
        raise wrong_type("completion", completion)
    return CompletionExample(prompt, completion)
