"""One job as the API tells it: its fields, its events and its checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import orjson

from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator.flavour import Flavour
from finetune_kit.testing.simulator.names import Names
from finetune_kit.testing.simulator.ordering import JobOrder
from finetune_kit.testing.simulator.wire import JsonObject

ORGANISATION = "org-simulator"


class Course(Protocol):
    """What moves a job on."""

    def tick(self, now: float) -> None:
        """Let everything happen that is due."""
        ...

    def step(self, now: float) -> None:
        """Go on to the next status at once."""
        ...

    def pause(self, now: float) -> None:
        """Stop for now."""
        ...

    def resume(self, now: float) -> None:
        """Go on."""
        ...

    def cancel(self, now: float) -> None:
        """Stop for good."""
        ...


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """One event."""

    id: str
    at: float
    level: str
    message: str | None
    """None where the data say it all."""
    data: Mapping[str, JsonValue] | None

    def json(self) -> bytes:
        """As the API tells it; made when it is asked for, for most events never are."""
        return orjson.dumps(
            {
                "object": "fine_tuning.job.event",
                "id": self.id,
                "created_at": int(self.at),
                "level": self.level,
                "message": _step_message(self.data or {}) if self.message is None else self.message,
                "data": self.data,
                "type": "message" if self.data is None else "metrics",
            }
        )


@dataclass(slots=True, kw_only=True)
class Job:
    """One job at one moment; the course changes it."""

    id: str
    order: JobOrder
    model: str
    """The dated base model, or the fine-tuned model that it goes on from."""
    base: str
    seed: int
    created_at: float
    names: Names
    flavour: Flavour
    status: str = "validating_files"
    fine_tuned_model: str | None = None
    finished_at: float | None = None
    trained_tokens: int | None = None
    estimated_finish: float | None = None
    result_files: list[str] = field(default_factory=list[str])
    error: JsonObject = field(default_factory=dict[str, JsonValue])
    settings: JsonObject = field(default_factory=dict[str, JsonValue])
    held_at: str | None = None
    """The status that it never leaves."""
    listed_from: float = 0.0
    """When lists begin to show it."""
    events: list[ToldEvent] = field(default_factory=list[ToldEvent])
    """The oldest first."""
    checkpoints: list[JsonObject] = field(default_factory=list[JsonObject])
    course: Course = field(init=False)
    _json: bytes | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in TERMINAL

    @property
    def pending(self) -> bool:
        """Whether it takes one of the places for jobs that wait."""
        return self.status in ("validating_files", "queued")

    @property
    def metadata(self) -> Mapping[str, str]:
        """The caller's own."""
        return self.order.metadata or {}

    def tell(self, message: str, *, at: float, level: str = "info") -> None:
        """Add an event."""
        self.events.append(ToldEvent(self.names.new("ftevent-"), at, level, message, None))

    def tell_metrics(self, data: Mapping[str, JsonValue], *, at: float) -> None:
        """Add an event with the losses of one step."""
        self.events.append(ToldEvent(self.names.new("ftevent-"), at, "info", None, data))

    def place_of(self, event_id: str) -> int | None:
        """How many events came before this one; the newest are looked at first."""
        for place in range(len(self.events) - 1, -1, -1):
            if self.events[place].id == event_id:
                return place
        return None

    def enter(self, status: str, *, at: float) -> None:
        """Change the status."""
        self.status = status
        if self.finished:
            self.finished_at = at
            self.estimated_finish = None
        self._json = None

    def changed(self) -> None:
        """Some field is another now."""
        self._json = None

    def fail(self, code: str, message: str, *, at: float, param: str | None = None) -> None:
        """End as failed."""
        self.error = {"code": code, "message": message, "param": param}
        self.tell(f"The job failed due to an error: {message}", at=at, level="error")
        self.enter("failed", at=at)

    def json(self) -> bytes:
        """As it is sent; made once for each change."""
        if self._json is None:
            self._json = orjson.dumps(self.as_json())
        return self._json

    def as_json(self) -> JsonObject:
        """As the API tells it."""
        order = self.order
        inner: JsonObject = {"hyperparameters": self.settings}
        if order.grader is not None:
            inner["grader"] = order.grader
        told: JsonObject = {
            "object": "fine_tuning.job",
            "id": self.id,
            "model": self.model,
            "created_at": int(self.created_at),
            "finished_at": None if self.finished_at is None else int(self.finished_at),
            "fine_tuned_model": self.fine_tuned_model,
            "organization_id": ORGANISATION,
            "result_files": list(self.result_files),
            "status": self.flavour.status_words.get(self.status, self.status),
            "validation_file": order.validation_file,
            "training_file": order.training_file,
            "hyperparameters": self.settings,
            "trained_tokens": self.trained_tokens,
            "error": self.error,
            "seed": self.seed,
            "estimated_finish": None if self.estimated_finish is None else int(self.estimated_finish),
            "integrations": order.integrations,
            "method": {"type": order.method, order.method: inner},
        }
        return self._azure(told) if self.flavour.azure else self._openai(told)

    def _openai(self, told: JsonObject) -> JsonObject:
        told |= {"user_provided_suffix": self.order.suffix, "usage_metrics": None, "shared_with_openai": False}
        if self.flavour.keeps_metadata:
            told["metadata"] = None if self.order.metadata is None else dict(self.order.metadata)
        return self._without_nulls(told)

    def _azure(self, told: JsonObject) -> JsonObject:
        del told["organization_id"], told["integrations"]
        settings: JsonObject = {name: -1 if value == "auto" else value for name, value in self.settings.items()}
        told["hyperparameters"] = settings
        told["method"] = {"type": self.order.method, self.order.method: {"hyperparameters": settings}}
        told |= {"suffix": self.order.suffix, "trainingType": self.order.training_type or "Standard"}
        if self.flavour.keeps_metadata:
            told["metadata"] = None if self.order.metadata is None else dict(self.order.metadata)
        return self._without_nulls(told)

    def _without_nulls(self, told: JsonObject) -> JsonObject:
        if not self.flavour.omits_nulls:
            return told
        return {name: value for name, value in told.items() if value is not None and value not in ({}, [])}


def _step_message(data: Mapping[str, JsonValue]) -> str:
    loss = data.get("train_loss")
    shown = f"{loss:.2f}" if isinstance(loss, int | float) else "unknown"
    return f"Step {data.get('step')}/{data.get('total_steps')}: training loss={shown}"
