"""Result files with the columns that they had in 2023."""

from __future__ import annotations

import csv
import io

from finetune_kit.errors import FormatError
from finetune_kit.results import MetricRow, Results

_COLUMNS = {
    "step": "step",
    "elapsed_tokens": "",
    "elapsed_examples": "",
    "training_loss": "train_loss",
    "training_sequence_accuracy": "",
    "training_token_accuracy": "train_accuracy",
    "validation_loss": "valid_loss",
    "validation_sequence_accuracy": "",
    "validation_token_accuracy": "valid_accuracy",
    # Those of later in 2023, when the second API had come.
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_accuracy",
}
"""Columns of then, and our field for each; empty where no host measures it any more."""


def in_old_columns(content: bytes) -> bytes:
    """A result file as plain CSV, however its host writes it; any other file as it is."""
    if content.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"["):
        return content
    try:
        rows = Results.parse(content).metrics
    except FormatError:
        return content
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(row, field) for field in _COLUMNS.values()] for row in rows)
    return text.getvalue().encode()


def _cell(row: MetricRow, field: str) -> object:
    return getattr(row, field) if field else None
