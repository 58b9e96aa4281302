"""How well a fine-tuned model tells its labels apart: measured here, on the validation set, when the job is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import orjson
from pydantic import TypeAdapter, ValidationError

from finetune_kit import _metrics
from finetune_kit._home import home_folder, make_folder
from finetune_kit._quoting import counted
from finetune_kit._replacing import replacing
from finetune_kit.backends import Backend, JobState
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.cards import ClassificationSettings, ModelCard
from finetune_kit.errors import BackendError, FormatError, JobNotFinishedError, ParameterError, StorageError
from finetune_kit.records import JsonValue
from finetune_kit.templates import PromptTemplate

_FOLDER = "classification"
_ROWS_AT_ONCE = 256
_LABELS_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Classification:
    """How often each label was taken for which, and what follows; None where a number is not defined, or not asked for.

    Precision, recall, F-beta, AUROC and AUPRC are those of the positive class; of several classes, the F1 of each,
    weighted by how often it occurs, is one number.
    """

    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    """A row for each true label, in it how often each label was predicted."""
    accuracy: float
    positive_class: str | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    f_betas: Mapping[float, float] | None = None
    """By beta; the larger it is, the more recall weighs."""
    auroc: float | None = None
    """None, too, where only one of the two classes is in the validation set."""
    auprc: float | None = None
    """The average precision; None, too, where the positive class is not in the validation set."""
    weighted_f1: float | None = None

    @classmethod
    def of(
        cls,
        truths: Sequence[str],
        predictions: Sequence[str],
        *,
        labels: Sequence[str],
        settings: ClassificationSettings,
        probabilities: Sequence[float] | None = None,
    ) -> Classification:
        """The numbers for predictions of any origin; `probabilities` are those of the positive class."""
        if not truths:
            raise ParameterError("there is no example to measure on.", parameter="truths")
        counts = _metrics.confusion(labels, truths, predictions)
        positive = settings.positive_class
        place = None if positive is None else labels.index(positive)
        sides = [truth == positive for truth in truths]
        scored = None if place is None or probabilities is None else probabilities
        return cls(
            labels=tuple(labels),
            confusion=counts,
            accuracy=_metrics.accuracy(counts) or 0.0,
            positive_class=positive,
            precision=None if place is None else _metrics.precision(counts, place),
            recall=None if place is None else _metrics.recall(counts, place),
            f1=None if place is None else _metrics.f_beta(counts, place, 1),
            f_betas=None if place is None else {beta: _metrics.f_beta(counts, place, beta) for beta in settings.betas},
            auroc=None if scored is None else _metrics.auroc(sides, scored),
            auprc=None if scored is None else _metrics.average_precision(sides, scored),
            weighted_f1=_metrics.weighted_f1(counts) if place is None else None,
        )

    @property
    def rows(self) -> int:
        """How many examples were classified."""
        return sum(map(sum, self.confusion))

    def __str__(self) -> str:
        numbers: dict[str, float | None] = {"accuracy": self.accuracy, "weighted F1": self.weighted_f1}
        numbers |= {"precision": self.precision, "recall": self.recall, "F1": self.f1}
        numbers |= {f"F{beta:g}": value for beta, value in (self.f_betas or {}).items()}
        numbers |= {"AUROC": self.auroc, "AUPRC": self.auprc}
        of = "" if self.positive_class is None else f", {self.positive_class!r} being positive"
        lines = [f"Classification of {counted(self.rows, 'validation example')}{of}"]
        lines += [f"  {name:12}{value:.4f}" for name, value in numbers.items() if value is not None]
        return "\n".join((*lines, *self._table()))

    def _table(self) -> Iterator[str]:
        if len(self.labels) > _LABELS_SHOWN:
            return
        width = max(map(len, self.labels))
        cells = [[str(count) for count in row] for row in self.confusion]
        columns = [max(map(len, column)) for column in zip(*cells, strict=True)]
        yield "  true label, then how often each was predicted, in the same order"
        for label, row in zip(self.labels, cells, strict=True):
            counts = "  ".join(cell.rjust(size) for cell, size in zip(row, columns, strict=True))
            yield f"  {label:{width}}  {counts}"


_STORED = TypeAdapter(Classification)


def measure(backend: Backend, state: JobState, card: ModelCard, *, deployment: str | None = None) -> Classification:
    """Classify the job's validation file by its model, once: the answer is kept, since calls cost money.

    The rows are read back from the backend, each label is given its probability by `rank` or `rank_chat`, and the most
    probable one is the prediction. On Azure, a model answers only by the name of its `deployment`; what was measured
    is in `job.results().classification` afterwards. `JobNotFinishedError` before there is a model.
    """
    settings = card.classification
    if settings is None or state.validation_file is None:
        raise ParameterError(
            f"{state.id} was started without compute_classification_metrics=True, so that nobody knows which classes "
            "count. Pass it to train, with a validation set.",
            parameter="compute_classification_metrics",
        )
    if state.fine_tuned_model is None:
        raise JobNotFinishedError(
            f"{state.id} is {state.status!r} and has no model to measure yet. wait() for it.", job_id=state.id
        )
    path = _path(backend, state, settings)
    kept = None if path is None else _read(path)
    if kept is not None:
        return kept
    if deployment is None and backend.profile.needs_deployment:
        raise BackendError(
            f"{state.fine_tuned_model} answers on {backend.profile.name!r} only when it is deployed, and has to answer "
            "to be measured. Deploy it, and call finetune_kit.classification.measure(backend, job.state, job.card, "
            "deployment=NAME): its numbers are kept, and in job.results().classification from then on."
        )
    examples = _Examples.of(backend.file_content(state.validation_file), card.template)
    found = _classified(backend, deployment or state.fine_tuned_model, examples, card, settings)
    if path is not None:
        with suppress(StorageError):  # what was measured is worth more than that it is kept
            _write(path, found)
    return found


@dataclass(frozen=True, slots=True)
class _Examples:
    """A validation file as what is asked, in rendered prompts or in conversations, and the label of each."""

    prompts: list[str]
    conversations: list[ChatMessages]
    truths: list[str]

    @classmethod
    def of(cls, content: bytes, template: PromptTemplate | None) -> _Examples:
        """Read a file as the backend keeps it."""
        found = cls([], [], [])
        for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
            if line.strip():
                found._add(_object(line, number), template, number)
        if not found.truths:
            raise FormatError("the validation file holds no example.")
        return found

    def _add(self, row: dict[str, JsonValue], template: PromptTemplate | None, number: int) -> None:
        match row:
            case {"prompt": str(prompt), "completion": str(completion)} if template is not None:
                self.prompts.append(prompt)
                self.truths.append(template.parse(completion))
            case {"messages": [*before, {"role": "assistant", "content": str(answer)}]} if template is None:
                self.conversations.append(cast("ChatMessages", before))
                self.truths.append(answer)
            case _:
                raise FormatError(
                    f"line {number} of the validation file is no example that this model's card knows how to read."
                )

    def rank(
        self, backend: Backend, model: str, labels: Sequence[str], template: PromptTemplate | None
    ) -> list[list[float]]:
        """For each example, the probability of each label."""
        found: list[list[float]] = []
        for start in range(0, len(self.truths), _ROWS_AT_ONCE):
            end = start + _ROWS_AT_ONCE
            if template is None:
                found += backend.rank_chat(model, self.conversations[start:end], labels)
            else:
                found += backend.rank(model, self.prompts[start:end], [template.completion(label) for label in labels])
        return found


def _classified(
    backend: Backend, model: str, examples: _Examples, card: ModelCard, settings: ClassificationSettings
) -> Classification:
    # A label that only the validation set has was never learned, and is no choice.
    choices = list(card.labels or sorted(set(examples.truths)))
    ranked = examples.rank(backend, model, choices, card.template)
    predictions = [choices[max(range(len(choices)), key=row.__getitem__)] for row in ranked]
    positive = settings.positive_class
    probabilities = None if positive not in choices else [row[choices.index(positive)] for row in ranked]
    labels = sorted({*choices, *examples.truths})
    return Classification.of(
        examples.truths, predictions, labels=labels, settings=settings, probabilities=probabilities
    )


def _object(line: bytes, number: int) -> dict[str, JsonValue]:
    try:
        row: object = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise FormatError(f"line {number} of the validation file is not JSON: {error}.") from error
    if not isinstance(row, dict):
        raise FormatError(f"line {number} of the validation file is no JSON object.")
    return cast("dict[str, JsonValue]", row)


def _path(backend: Backend, state: JobState, settings: ClassificationSettings) -> Path | None:
    """Where the numbers are kept; None where nothing outlives the backend."""
    if backend.account is None:
        return None
    about = (backend.profile.name, backend.account, state.id, state.fine_tuned_model, state.validation_file)
    key = json.dumps((*about, settings.model_dump(mode="json")))
    return home_folder() / _FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> Classification | None:
    """What is kept; nothing where that is damaged."""
    try:
        return _STORED.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _write(path: Path, found: Classification) -> None:
    make_folder(path.parent)
    with replacing(str(path)) as file:
        file.write(_STORED.dump_json(found))
