"""Result files with the columns that they had in 2023."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping

from finetune_kit._retry import QUESTIONS
from finetune_kit.backends import JobState
from finetune_kit.classification import Classification, measure
from finetune_kit.errors import FinetuneKitError, FormatError
from finetune_kit.legacy.settings import Connection
from finetune_kit.results import MetricRow, Results

_log = logging.getLogger("finetune_kit")

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
"""Columns of then, and our field for each; empty where hardly a host measures it any more."""
_CLASSES = "classification/"


def results_in(content: bytes) -> Results | None:
    """What a result file measured; None for any other file."""
    if content.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] in (b"{", b"["):
        return None
    try:
        return Results.parse(content)
    except FormatError:
        return None


def in_old_columns(results: Results, classification: Classification | None) -> bytes:
    """Results as plain CSV; what was measured of classes stands in the last row, as it did behind each epoch."""
    classes: dict[int, Mapping[str, float]] = {row.step: row.metrics for row in results.classification_rows}
    if classification is not None and results.metrics:
        classes[results.metrics[-1].step] = _old_metrics(classification)
    about_classes = dict.fromkeys(f"{_CLASSES}{name}" for row in classes.values() for name in row)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*_COLUMNS, *about_classes], lineterminator="\n")
    writer.writeheader()
    for row in results.metrics:
        cells = {column: _cell(row, column, field) for column, field in _COLUMNS.items()}
        writer.writerow(cells | {f"{_CLASSES}{name}": value for name, value in classes.get(row.step, {}).items()})
    return text.getvalue().encode()


def _cell(row: MetricRow, column: str, field: str) -> object:
    return getattr(row, field) if field else row.more.get(column)


def _old_metrics(found: Classification) -> dict[str, float]:
    numbers: dict[str, float | None] = {"accuracy": found.accuracy}
    if found.positive_class is None:
        numbers["weighted_f1"] = found.weighted_f1
    else:
        numbers |= {"precision": found.precision, "recall": found.recall, "auroc": found.auroc, "auprc": found.auprc}
        numbers |= {f"f{beta:.1f}": value for beta, value in ({1.0: found.f1} | dict(found.f_betas or {})).items()}
    return {name: value for name, value in numbers.items() if value is not None}


def measured(at: Connection, file_id: str) -> Classification | None:
    """How well the model of a result file's job tells classes apart, where its script asked for that."""
    job = _job_of(at, file_id)
    if job is None or job.fine_tuned_model is None:
        return None
    try:
        card = at.backend.card(job.fine_tuned_model)
        return None if card.classification is None else measure(at.backend, job, card)
    except FinetuneKitError as error:
        _log.warning("The classification metrics are left out of the result file of %s: %s", job.id, error)
        return None


def _job_of(at: Connection, file_id: str) -> JobState | None:
    known = at.jobs.get(file_id)
    if known is not None:
        return QUESTIONS.call(lambda: at.backend.job(known))
    return next((job for job in QUESTIONS.call(at.backend.jobs) if file_id in job.result_files), None)
