"""A job's result file in the columns of each kind of host."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Mapping, Sequence

from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator.flavour import Flavour, ResultColumns

FILENAME = "step_metrics.csv"

# The host's column, and the names of the measure in a job's metrics, the first that is there.
_VALID_LOSS = ("valid_loss", "full_valid_loss")
_VALID_ACCURACY = ("valid_mean_token_accuracy", "full_valid_mean_token_accuracy")
_COLUMNS: Mapping[ResultColumns, Mapping[str, tuple[str, ...]]] = {
    "openai": {
        "step": ("step",),
        "train_loss": ("train_loss",),
        "train_accuracy": ("train_mean_token_accuracy",),
        "valid_loss": _VALID_LOSS,
        "valid_mean_token_accuracy": _VALID_ACCURACY,
    },
    "azure": {
        "step": ("step",),
        "train_loss": ("train_loss",),
        "train_mean_token_accuracy": ("train_mean_token_accuracy",),
        "valid_loss": ("valid_loss",),
        "validation_mean_token_accuracy": ("valid_mean_token_accuracy",),
        "full_valid_loss": ("full_valid_loss",),
        "full_valid_mean_token_accuracy": ("full_valid_mean_token_accuracy",),
    },
    "legacy": {
        "step": ("step",),
        "elapsed_tokens": ("elapsed_tokens",),
        "elapsed_examples": ("elapsed_examples",),
        "training_loss": ("train_loss",),
        "training_sequence_accuracy": ("train_sequence_accuracy",),
        "training_token_accuracy": ("train_mean_token_accuracy",),
        "validation_loss": _VALID_LOSS,
        "validation_sequence_accuracy": ("valid_sequence_accuracy",),
        "validation_token_accuracy": _VALID_ACCURACY,
    },
}


def result_file(
    measured: Sequence[Mapping[str, JsonValue]], flavour: Flavour, *, batch_size: int, trained_tokens: int
) -> bytes:
    """What stands in the file; what was not measured at a step is a blank cell."""
    columns = _COLUMNS[flavour.result_columns]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for done, row in enumerate(measured, 1):
        elapsed = {"elapsed_examples": done * batch_size, "elapsed_tokens": trained_tokens * done // len(measured)}
        both = {**elapsed, **row}
        writer.writerow([next((both[name] for name in names if name in both), "") for names in columns.values()])
    plain = text.getvalue().encode()
    return base64.b64encode(plain) if flavour.result_format == "base64" else plain
