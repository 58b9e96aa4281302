"""What a finished job measured: every step as a typed row, whichever host wrote it down."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune_kit._home import writing
from finetune_kit._replacing import replacing
from finetune_kit.classification import Classification
from finetune_kit.result_files import STEP, Line, lines_of

_CLASSIFICATION = "classification/"
_FIELDS = ("train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "train_reward", "valid_reward")


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
    train_reward: float | None = None
    """Of reinforcement: the mean that the grader gave."""
    valid_reward: float | None = None
    more: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    """Columns that only some hosts have, by the host's names, such as `elapsed_tokens`."""


@dataclass(frozen=True, slots=True)
class ClassificationRow:
    """How well the model told classes apart at one step, as the host measured it."""

    step: int
    metrics: Mapping[str, float] = field(hash=False)
    """By the host's names, such as `accuracy` and `f1.0`."""


@dataclass(frozen=True, slots=True)
class Results:
    """The measurements of one job, step by step.

    >>> results = Results.parse(b"step,train_loss,valid_loss\\n1,2.5,\\n2,1.25,1.5\\n")
    >>> [(row.step, row.valid_loss) for row in results.validations]
    [(2, 1.5)]
    """

    metrics: tuple[MetricRow, ...]
    classification_rows: tuple[ClassificationRow, ...] = ()
    """What the host measured itself; hosts of today do not, and `classification` is measured here."""
    classify: Callable[[], Classification | None] | None = field(default=None, repr=False, compare=False)
    """Measures the classification when it is first asked for."""

    @classmethod
    def parse(cls, content: bytes, *, columns: Mapping[str, Sequence[str]] | None = None) -> Results:
        """Read a result file: CSV by column name, as it is or in base64; blank cells, -1 and NaN mean: not measured.

        `columns` are a host's own names for the fields of a `MetricRow`. `FormatError` says in which row a file is
        damaged.
        """
        metrics: list[MetricRow] = []
        classification: list[ClassificationRow] = []
        for line in lines_of(content, columns):
            own, more = _divided(line)
            metrics.append(MetricRow(line.step, **{name: line.fields.get(name) for name in _FIELDS}, more=more))
            if own:
                classification.append(ClassificationRow(line.step, own))
        return cls(tuple(metrics), tuple(classification))

    @property
    def validations(self) -> tuple[MetricRow, ...]:
        """The rows at which the validation set was measured."""
        return tuple(row for row in self.metrics if row.valid_loss is not None)

    @property
    def classification(self) -> Classification | None:
        """How well the model tells its labels apart, where `train` was asked for `compute_classification_metrics`.

        Measured on the validation set by calls of the model, once: on a host, they cost money.
        """
        return self.classify() if self.classify is not None else None

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write `metrics.csv` into a folder, which is made; `parse` reads it again, and so does a spreadsheet."""
        path = Path(folder) / "metrics.csv"
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(str(path)) as file:
                file.write(self._csv().encode())
        return path

    def _csv(self) -> str:
        rows = [_cells(row) for row in self.metrics]
        by_step = {row.step: row.metrics for row in self.classification_rows}
        for cells in rows:
            step = int(cells[STEP])
            cells |= {_CLASSIFICATION + name: value for name, value in by_step.get(step, {}).items()}
        names: dict[str, None] = dict.fromkeys([STEP, *_FIELDS])
        for cells in rows:
            names.update(dict.fromkeys(cells))
        text = io.StringIO()
        writer = csv.DictWriter(text, list(names), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def __len__(self) -> int:
        return len(self.metrics)

    def __reduce__(self) -> tuple[type[Results], tuple[object, ...]]:
        return type(self), (self.metrics, self.classification_rows)  # elsewhere, there is no backend to ask

    def __repr__(self) -> str:
        if not self.metrics:
            return "<Results: no steps>"
        last = self.metrics[-1]
        told = [f"last training loss {last.train_loss:.4f}"] if last.train_loss is not None else []
        if self.validations:
            told.append(f"last validation loss {self.validations[-1].valid_loss:.4f}")
        if last.train_reward is not None:
            told.append(f"last training reward {last.train_reward:.4f}")
        return f"<Results: {len(self.metrics)} steps, {', '.join(told) or 'no losses'}>"


def _divided(line: Line) -> tuple[dict[str, float], dict[str, float]]:
    """The columns about classes, and the others that are no fields."""
    own, more = dict[str, float](), dict[str, float]()
    for name, value in line.more.items():
        if name.startswith(_CLASSIFICATION):
            own[name.removeprefix(_CLASSIFICATION)] = value
        else:
            more[name] = value
    return own, more


def _cells(row: MetricRow) -> dict[str, float | int]:
    fields = {name: value for name in _FIELDS if (value := getattr(row, name)) is not None}
    more = {f"host_{name}" if name in _FIELDS else name: value for name, value in row.more.items()}
    return {STEP: row.step, **fields, **more}
