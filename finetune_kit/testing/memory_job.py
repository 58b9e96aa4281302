"""One job of the memory backend: a state machine that takes one step when it is told to."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import cast

import orjson

from finetune_kit.backends import Checkpoint, Event, FileState, JobFault, JobSpec, JobState
from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.cards import DataFingerprint, Hyperparameters, ModelCard
from finetune_kit.errors import BackendError, UnknownFileError
from finetune_kit.records import JsonValue
from finetune_kit.testing.memory_model import MemoryModel, conversation

RESULTS = "step_metrics.csv"
RESULT_COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")
_METRICS = (
    "step",
    "train_loss",
    "train_mean_token_accuracy",
    "full_valid_loss",
    "full_valid_mean_token_accuracy",
)
_KEPT_CHECKPOINTS = 3


@dataclass(slots=True)
class MemoryShelf:
    """The files and models of one memory backend."""

    files: dict[str, tuple[FileState, bytes]] = field(default_factory=dict[str, tuple[FileState, bytes]])
    models: dict[str, tuple[ModelCard, MemoryModel]] = field(default_factory=dict[str, tuple[ModelCard, MemoryModel]])

    files_made: int = 0

    def add_file(self, content: bytes, *, filename: str) -> FileState:
        """Keep a file."""
        self.files_made += 1
        state = FileState(
            id=f"file-{self.files_made}", filename=filename, size_bytes=len(content), created_at=datetime.now(UTC)
        )
        self.files[state.id] = state, content
        return state

    def file(self, file_id: str) -> tuple[FileState, bytes]:
        """A kept file and its bytes, or `UnknownFileError`."""
        if file_id not in self.files:
            raise UnknownFileError(
                f"there is no file {file_id!r}. Ids come from `upload` or a job's result_files.", file_id=file_id
            )
        return self.files[file_id]

    def content(self, file_id: str) -> bytes:
        """A kept file's bytes."""
        return self.file(file_id)[1]


class MemoryJob:
    """Learns its training file by heart: the first epoch teaches everything, the others find nothing new."""

    def __init__(self, number: int, spec: JobSpec, shelf: MemoryShelf) -> None:
        self._number, self._spec, self._shelf = number, spec, shelf
        self.state = JobState(
            id=f"ftjob-{number}",
            status="queued",
            model=spec.model.model,
            created_at=datetime.now(UTC),
            training_file=spec.training_file,
            validation_file=spec.validation_file,
            metadata=dict(spec.metadata),
        )
        self.events: list[Event] = []
        self.checkpoints: list[Checkpoint] = []
        self._model = MemoryModel()
        if spec.model.model in shelf.models:  # one to train further
            self._model.learned.update(shelf.models[spec.model.model][1].learned)
        self._measured: list[dict[str, JsonValue]] = []
        self._epochs_done = 0
        self._valid_accuracy = 0.0
        if spec.model.note:
            self._tell(spec.model.note, level="warn")
        self._tell(f"Created fine-tuning job on {self._base}.")

    @property
    def token(self) -> str:
        """Of its specification."""
        return self._spec.token

    @property
    def _base(self) -> str:
        return self._spec.card.base

    def advance(self) -> None:
        """Move on by one status; a paused or finished job stays as it is."""
        if self.state.status == "queued":
            self.move("validating_files", f"Validating training file: {self._spec.training_file}")
        elif self.state.status == "validating_files":
            self._begin()
        elif self.state.status == "running":
            self._epoch()
            self._succeed()

    def move(self, status: str, message: str, *, fault: JobFault | None = None) -> None:
        """Change the status and say so, unless the job has ended."""
        if self.state.status in TERMINAL:
            return
        ended = datetime.now(UTC) if status in TERMINAL else None
        self.state = replace(self.state, status=status, finished_at=ended, fault=fault)
        self._tell(message, level="info" if fault is None else "error")

    def fail(self, code: str, message: str) -> None:
        """End it as failed."""
        self.move("failed", f"Failed: {message}", fault=JobFault(code=code, message=message))

    def _tell(self, message: str, *, level: str = "info", metrics: dict[str, JsonValue] | None = None) -> None:
        event = Event(
            id=f"ftevent-{self._number}-{len(self.events) + 1}",
            created_at=datetime.now(UTC),
            level=level,
            message=message,
            type="message" if metrics is None else "metrics",
            data=metrics or {},
        )
        self.events.append(event)

    def _begin(self) -> None:
        """Read the files, then train all epochs but the last; a job that was paused has done so before."""
        try:
            self._training = pairs(self._shelf.content(self._spec.training_file))
            validation = self._spec.validation_file
            self._validation = pairs(self._shelf.content(validation)) if validation is not None else []
        except (BackendError, ValueError) as error:
            self.fail("invalid_file", str(error))
            return
        self._settings = _decided(self._spec.hyperparameters, examples=len(self._training))
        self.move("running", "Files validated, training starts.")
        while self._epochs_done < self._settings.n_epochs - 1:
            self._epoch()
            self._keep_checkpoint()

    def _epoch(self) -> None:
        size = self._settings.batch_size or 1
        starts = range(0, len(self._training), size)
        for step, start in enumerate(starts, self._epochs_done * len(starts) + 1):
            batch = self._training[start : start + size]
            known = sum(self._model.knows(asked, answer) for asked, answer in batch) / len(batch)
            for asked, answer in batch:
                self._model.learn(asked, answer)
            metrics = {"train_loss": 1 - known, "train_mean_token_accuracy": known}
            if start == starts[-1] and self._validation:
                metrics |= self._validate()
            self._record(step, len(starts) * self._settings.n_epochs, metrics)
        self._epochs_done += 1

    def _validate(self) -> dict[str, float]:
        if not self._epochs_done:  # later epochs change nothing
            right = sum(self._model.answer(asked) == answer for asked, answer in self._validation)
            self._valid_accuracy = right / len(self._validation)
        return {"full_valid_loss": 1 - self._valid_accuracy, "full_valid_mean_token_accuracy": self._valid_accuracy}

    def _record(self, step: int, total_steps: int, metrics: dict[str, float]) -> None:
        self._measured.append({"step": step, "total_steps": total_steps, **metrics})
        message = f"Step {step}/{total_steps}: training loss={metrics['train_loss']:.4f}"
        self._tell(message, metrics=self._measured[-1])
        self.state = replace(self.state, step=step, total_steps=total_steps, seconds_left=0.0)

    def _keep_checkpoint(self) -> None:
        last = self._measured[-1]
        step = cast("int", last["step"])
        name = f"{self._name}:ckpt-step-{step}"
        self._shelf.models[name] = self._card(name), MemoryModel(dict(self._model.learned))
        checkpoint = Checkpoint(
            id=f"ftckpt-{self._number}-{step}",
            name=name,
            step=step,
            created_at=datetime.now(UTC),
            metrics={key: float(value) for key, value in last.items() if isinstance(value, int | float)},
        )
        self.checkpoints.append(checkpoint)
        for old in self.checkpoints[:-_KEPT_CHECKPOINTS]:
            del self._shelf.models[old.name]
        del self.checkpoints[:-_KEPT_CHECKPOINTS]

    def _succeed(self) -> None:
        self._shelf.models[self._name] = self._card(self._name), self._model
        self.state = replace(
            self.state,
            fine_tuned_model=self._name,
            trained_tokens=sum(len(answer.split()) for _, answer in self._training) * self._settings.n_epochs,
            seconds_left=None,
            result_files=(self._shelf.add_file(_result_file(self._measured), filename=RESULTS).id,),
        )
        self._tell(f"New fine-tuned model created: {self._name}")
        self.move("succeeded", "The job has succeeded.")

    @property
    def _name(self) -> str:
        return f"ft:{self._base}:memory:{self._spec.suffix or ''}:{self._number}"

    def _card(self, name: str) -> ModelCard:
        validation = self._spec.validation_file
        scores = {key: value for key, value in self._measured[-1].items() if key in _METRICS[1:]}
        return self._spec.card.model_copy(
            update={
                "name": name,
                "job_id": self.state.id,
                "created_at": datetime.now(UTC),
                "hyperparameters": self._settings,
                "scores": scores,
                "training": _fingerprint(self._shelf.content(self._spec.training_file)),
                "validation": None if validation is None else _fingerprint(self._shelf.content(validation)),
            }
        )


def pairs(content: bytes) -> list[tuple[str, str]]:
    """What is asked and answered in a training file; `ValueError` where it holds something else."""
    found: list[tuple[str, str]] = []
    for number, line in enumerate(content.removeprefix(codecs.BOM_UTF8).splitlines(), 1):
        match orjson.loads(line):
            case {"prompt": str(prompt), "completion": str(completion)}:
                found.append((prompt, completion))
            case {"messages": [*messages]}:
                found += _turns(cast("list[dict[str, JsonValue]]", messages))
            case {"input": {"messages": [*messages]}, "preferred_output": [{"content": str(preferred)}]}:
                found.append((conversation(cast("list[dict[str, JsonValue]]", messages)), preferred))
            case _:
                raise ValueError(f"line {number} of the training file is no example.")
    if not found:
        raise ValueError("the training file holds no example.")
    return found


def _turns(messages: list[dict[str, JsonValue]]) -> list[tuple[str, str]]:
    return [
        (conversation(messages[:place]), str(message.get("content") or ""))
        for place, message in enumerate(messages)
        if message.get("role") == "assistant" and message.get("weight", 1)
    ]


def _decided(given: Hyperparameters, *, examples: int) -> Hyperparameters:
    """The batch as the hosted API takes it by default; the other two change nothing here."""
    return Hyperparameters(
        n_epochs=given.n_epochs,
        batch_size=given.batch_size or min(256, max(1, round(0.002 * examples))),
        learning_rate_multiplier=given.learning_rate_multiplier or 1.0,
        prompt_loss_weight=0.01 if given.prompt_loss_weight is None else given.prompt_loss_weight,
        beta=given.beta,
        options=given.options,
    )


def _result_file(measured: Sequence[dict[str, JsonValue]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(RESULT_COLUMNS)
    writer.writerows([row.get(key, "") for key in _METRICS] for row in measured)
    return text.getvalue().encode()


def _fingerprint(content: bytes) -> DataFingerprint:
    return DataFingerprint(rows=len(content.splitlines()), sha256=sha256(content).hexdigest())
