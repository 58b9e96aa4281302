"""What a finished job measured: the result file of a host, parsed into typed rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.errors import FormatError

_COLUMNS = {
    "step": "step",
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "train_mean_token_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "full_valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
    "full_valid_mean_token_accuracy": "valid_accuracy",
}


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One training step; None where the host measured nothing at that step."""

    step: int
    train_loss: float | None = None
    """Mean over the step's tokens by their loss weight, in nats."""
    train_accuracy: float | None = None
    """Share of trained tokens that the model ranked first."""
    valid_loss: float | None = None
    valid_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """The measurements of one job, step by step."""

    metrics: tuple[MetricRow, ...]

    @classmethod
    def parse(cls, content: bytes) -> Results:
        """Read a result file: CSV with a header, by column name; blank cells, -1 and NaN mean nothing was measured."""
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FormatError("the result file is not UTF-8 text. Download it again.") from error
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if "step" not in (reader.fieldnames or ()):
            raise FormatError(f"the result file has no column 'step'; its header is {reader.fieldnames}.")
        return cls(tuple(_rows(reader)))

    @property
    def validations(self) -> tuple[MetricRow, ...]:
        """The rows at which the validation set was measured, once an epoch."""
        return tuple(row for row in self.metrics if row.valid_loss is not None)

    def __len__(self) -> int:
        return len(self.metrics)

    def __repr__(self) -> str:
        if not self.metrics:
            return "<Results: no steps>"
        last = self.metrics[-1]
        losses = [f"last training loss {last.train_loss:.4f}"] if last.train_loss is not None else []
        if self.validations:
            losses.append(f"last validation loss {self.validations[-1].valid_loss:.4f}")
        return f"<Results: {len(self.metrics)} steps, {', '.join(losses) or 'no losses'}>"


def _rows(reader: csv.DictReader[str]) -> Iterator[MetricRow]:
    for line, row in enumerate(reader, start=2):
        values: dict[str, float] = {}
        for column, cell in row.items():
            field = _COLUMNS.get(column)
            number = _number(cell, line, column) if field is not None else None
            if field is not None and number is not None:
                values[field] = number
        if "step" not in values:
            raise FormatError(f"row {line} of the result file has no step number.", row=line)
        yield MetricRow(step=int(values.pop("step")), **values)


def _number(cell: str | None, line: int, column: str) -> float | None:
    if cell is None or not cell.strip():
        return None
    try:
        number = float(cell)
    except ValueError as error:
        raise FormatError(f"row {line} of the result file: {column} is {cell!r}, not a number.", row=line) from error
    return None if not math.isfinite(number) or number == -1 else number
