"""What a finished job measured: the result file of a host, parsed into typed rows."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.errors import FormatError

# The hosts' columns for each field, the best first: the whole validation set says more than a batch of it.
_COLUMNS = {
    "train_loss": ("train_loss", "training_loss"),
    "train_accuracy": ("train_accuracy", "train_mean_token_accuracy", "training_token_accuracy"),
    "valid_loss": ("full_valid_loss", "valid_loss", "validation_loss"),
    "valid_accuracy": (
        "full_valid_mean_token_accuracy",
        "valid_mean_token_accuracy",
        "validation_mean_token_accuracy",
        "validation_token_accuracy",
    ),
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
    """Over the whole validation set where the host says so, else over a batch of it."""
    valid_accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Results:
    """The measurements of one job, step by step.

    >>> Results.parse(b"step,train_loss,valid_loss\\n1,2.5,\\n2,1.25,1.5\\n").validations
    (MetricRow(step=2, train_loss=1.25, train_accuracy=None, valid_loss=1.5, valid_accuracy=None),)
    """

    metrics: tuple[MetricRow, ...]

    @classmethod
    def parse(cls, content: bytes) -> Results:
        """Read a result file: CSV by column name, as it is or in base64; blank cells, -1 and NaN mean: not measured."""
        try:
            text = _plain(content).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FormatError("the result file is not UTF-8 text. Download it again.") from error
        reader = csv.DictReader(io.StringIO(text, newline=""))
        try:
            if "step" not in (reader.fieldnames or ()):
                raise FormatError(f"the result file has no column 'step'; its header is {reader.fieldnames}.")
            return cls(tuple(_rows(reader)))
        except csv.Error as error:
            message = f"the result file is not CSV behind row {reader.line_num}: {error}. Download it again."
            raise FormatError(message, row=reader.line_num + 1) from error

    @property
    def validations(self) -> tuple[MetricRow, ...]:
        """The rows at which the validation set was measured."""
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


def _plain(content: bytes) -> bytes:
    """OpenAI gives its result files in base64, other hosts as they are; a comma is in every CSV and in no base64."""
    if b"," in content:
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        return content


def _rows(reader: csv.DictReader[str]) -> Iterator[MetricRow]:
    for row in reader:
        line = reader.line_num
        step = _number(row.get("step"), line, "step")
        if step is None or not step.is_integer():
            raise FormatError(f"row {line} of the result file has no step number.", row=line)
        yield MetricRow(step=int(step), **{field: _first(row, columns, line) for field, columns in _COLUMNS.items()})


def _first(row: dict[str, str], columns: tuple[str, ...], line: int) -> float | None:
    numbers = (_number(row.get(column), line, column) for column in columns)
    return next((number for number in numbers if number is not None), None)


def _number(cell: str | None, line: int, column: str) -> float | None:
    if cell is None or not cell.strip():
        return None
    try:
        number = float(cell)
    except ValueError as error:
        raise FormatError(f"row {line} of the result file: {column} is {cell!r}, not a number.", row=line) from error
    return None if not math.isfinite(number) or number == -1 else number
