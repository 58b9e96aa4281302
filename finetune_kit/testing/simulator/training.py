"""The backend behind the simulated host: it really trains, and really answers."""

from __future__ import annotations

import codecs
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from finetune_kit.backends import Backend, Checkpoint, Event, JobSpec, JobState
from finetune_kit.cards import Hyperparameters, ModelCard
from finetune_kit.records import JsonValue, Kind
from finetune_kit.testing.memory_backend import MemoryBackend
from finetune_kit.testing.simulator.blob import Content
from finetune_kit.testing.simulator.ordering import JobOrder
from finetune_kit.uploads import SpooledFile

_MOST_LABELS = 50
_EPOCHS = 3
"""What the host takes where it is left to choose."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """The files of a job as examples, checked."""

    training: Content
    validation: Content | None
    kind: Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training came to."""

    state: JobState
    metrics: tuple[Event, ...]
    checkpoints: tuple[Checkpoint, ...]
    results: bytes
    hyperparameters: Hyperparameters


@dataclass(frozen=True, slots=True)
class Learned:
    """A training that is over already."""

    outcome: Outcome
    labels: tuple[str, ...]


@dataclass(slots=True)
class Trained:
    """A model of the host's, and what stands behind it."""

    base: str
    """The host's base model."""
    inner: str
    """The backend's name for it."""
    labels: tuple[str, ...] = ()
    kind: Kind | None = None


@dataclass(slots=True)
class Trainer:
    """Hands jobs to the backend; files that several jobs use are handed over once.

    Equal jobs that take no time are trained once, so that thousands of them cost little.
    """

    backend: Backend
    _files: dict[int, tuple[Content, str]] = field(default_factory=dict[int, "tuple[Content, str]"])
    _learned: dict[Hashable, Learned] = field(default_factory=dict[Hashable, Learned])

    @property
    def at_once(self) -> bool:
        """Whether training takes no time, so that the simulator has to stretch it."""
        return isinstance(self.backend, MemoryBackend)

    @property
    def base(self) -> str:
        """The backend's own base model, which stands in for all of the host's."""
        return next(iter(self.backend.profile.models))

    def start(self, order: JobOrder, lesson: Lesson, *, earlier: Trained | None, seed: int) -> tuple[str, list[str]]:
        """Start a job there: its id, and the closed set of answers, where they look like one."""
        labels = _labels(lesson.training.lines())
        spec = JobSpec(
            model=self.backend.resolve(self.base if earlier is None else earlier.inner),
            training_file=self._hand_over(lesson.training),
            validation_file=None if lesson.validation is None else self._hand_over(lesson.validation),
            hyperparameters=_settings(order.hyperparameters),
            suffix=order.suffix,
            seed=seed,
            card=ModelCard(
                base=self.base,
                requested_model=order.model,
                backend=self.backend.profile.name,
                kind="chat" if lesson.kind == "preference" else lesson.kind,
                labels=tuple(labels),
            ),
        )
        return self.backend.start(spec).id, labels

    def learn_at_once(self, order: JobOrder, lesson: Lesson, *, earlier: Trained | None, seed: int) -> Learned:
        """Train in memory, to the end."""
        base = self.base if earlier is None else earlier.inner
        settings = tuple(sorted((name, str(value)) for name, value in order.hyperparameters.items()))
        key = (id(lesson.training), id(lesson.validation), base, settings)
        if key not in self._learned:
            memory = cast("MemoryBackend", self.backend)
            inner_id, labels = self.start(order, lesson, earlier=earlier, seed=seed)
            state = memory.advance(inner_id)
            while not state.finished:
                state = memory.advance(inner_id)
            self._learned[key] = Learned(self.outcome(state), tuple(labels))
        return self._learned[key]

    def outcome(self, state: JobState) -> Outcome:
        """What a job that has ended came to."""
        model = state.fine_tuned_model
        return Outcome(
            state=state,
            metrics=tuple(event for event in self.backend.events(state.id) if event.type == "metrics"),
            checkpoints=tuple(self.backend.checkpoints(state.id)),
            results=self.backend.file_content(state.result_files[0]) if state.result_files else b"",
            hyperparameters=Hyperparameters() if model is None else self.backend.card(model).hyperparameters,
        )

    def _hand_over(self, content: Content) -> str:
        known = self._files.get(id(content))
        if known is None:
            with SpooledFile.of(_plain(content.lines()), filename="training.jsonl") as file:
                known = content, self.backend.upload(file).id
            self._files[id(content)] = known
        return known[1]


def _settings(given: Mapping[str, JsonValue]) -> Hyperparameters:
    def chosen(name: str) -> float | None:
        value = given.get(name)
        return value if isinstance(value, int | float) else None

    batch = chosen("batch_size")
    return Hyperparameters(
        n_epochs=int(chosen("n_epochs") or _EPOCHS),
        batch_size=None if batch is None else int(batch),
        learning_rate_multiplier=chosen("learning_rate_multiplier"),
    )


def _plain(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Rows as every backend takes them: no mark, no blank lines, and of two answers the better one."""
    for line in lines:
        stripped = line.removeprefix(codecs.BOM_UTF8).strip()
        if b'"preferred_output"' in stripped:
            yield _better(stripped)
        elif stripped:
            yield stripped


def _better(line: bytes) -> bytes:
    match orjson.loads(line):
        case {"input": {"messages": [*asked]}, "preferred_output": [*answer]}:
            return orjson.dumps({"messages": [*asked, *answer]})
        case _:
            return line


def _labels(lines: Iterable[bytes]) -> list[str]:
    """The distinct answers, where they are few enough to be a closed set."""
    found: dict[str, None] = {}
    for line in _plain(lines):
        match orjson.loads(line):
            case {"completion": str(answer)} | {"messages": [*_, {"content": str(answer)}]}:
                found[answer] = None
            case _:
                pass
        if len(found) > _MOST_LABELS:
            return []
    return list(found)
