"""The models at the host: base models, and what was trained there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from finetune_kit.errors import ParameterError
from finetune_kit.records import Kind
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.training import Trained
from finetune_kit.testing.simulator.wire import JsonObject

_MOST_JOBS_A_DAY = 1_000_000


@dataclass(slots=True)
class ModelShelf:
    """All models; the calendar of the real host counts only where `shutdown_dates` says so."""

    bases: Mapping[str, tuple[Kind, ...]]
    """What each base model learns from; nothing where anything goes."""
    aliases: Mapping[str, str]
    shutdown_dates: dict[str, str]
    inner_base: str
    created_at: float
    closed_to_training: set[str] = field(default_factory=set[str])
    trained: dict[str, Trained] = field(default_factory=dict[str, Trained])
    made_at: dict[str, float] = field(default_factory=dict[str, float])
    checkpoints: dict[str, Trained] = field(default_factory=dict[str, Trained])
    """They answer, and are not listed."""
    deployments: dict[str, str] = field(default_factory=dict[str, str])
    """At Azure: the model behind each name."""

    def __post_init__(self) -> None:
        if not self.bases:
            raise ParameterError("a host without base models trains nothing; name some with models=.")
        for model, day in self.shutdown_dates.items():
            try:
                date.fromisoformat(day)
            except ValueError as error:
                message = f"shutdown_dates: {day!r} of {model!r} is no date such as 2027-01-14."
                raise ParameterError(message, parameter="shutdown_dates") from error

    def dated(self, name: str) -> str:
        """The model that an alias stands for."""
        return name if name in self.bases else self.aliases.get(name, name)

    def add(self, name: str, model: Trained, *, now: float, checkpoint: bool = False) -> None:
        """A new model."""
        if checkpoint:
            self.checkpoints[name] = model
        else:
            self.trained[name] = model
            self.made_at[name] = now

    def find(self, name: str, now: float) -> Trained:
        """A model that answers, or a `Refusal`."""
        name = self.dated(name)
        found = self.trained.get(name) or self.checkpoints.get(name)
        if found is None and name in self.bases:
            found = Trained(base=name, inner=self.inner_base)
        if found is None or self._shut(found.base, now):
            raise Refusal.no_model(name)
        return found

    def to_train(self, name: str, now: float) -> tuple[str, Trained | None]:
        """The dated base model behind a name, and the earlier model to go on from."""
        name = self.dated(name)
        earlier = self.trained.get(name)
        base = name if earlier is None else earlier.base
        if base not in self.bases or base in self.closed_to_training or self._shut(base, now):
            message = f"Model {name} is not available for fine-tuning or does not exist."
            raise Refusal.invalid(message, param="model", code="model_not_available")
        return base, earlier

    def kinds(self, base: str) -> tuple[Kind, ...]:
        """What a base model learns from."""
        return self.bases[base]

    def delete(self, name: str) -> None:
        """Forget a fine-tuned model; base models stay."""
        if name in self.bases:
            raise Refusal(403, f"The model {name} cannot be deleted.", code="insufficient_permissions")
        if name not in self.trained:
            raise Refusal.no_model(name)
        del self.trained[name], self.made_at[name]

    def listed(self, now: float) -> Iterator[JsonObject]:
        """As the API tells them."""
        for name in [*self.bases, *self.trained]:
            if not self._shut(self._base(name), now):
                yield self.as_json(name)

    def as_json(self, name: str) -> JsonObject:
        """One model."""
        owner = "system" if name in self.bases else "simulator"
        made = self.made_at.get(name, self.created_at)
        shutdown = self.shutdown_dates.get(name) or self.shutdown_dates.get(self._base(name))
        return {"id": name, "object": "model", "created": int(made), "owned_by": owner, "shutdown_date": shutdown}

    def _base(self, name: str) -> str:
        return self.trained[name].base if name in self.trained else name

    def _shut(self, base: str, now: float) -> bool:
        day = self.shutdown_dates.get(base)
        return day is not None and datetime.fromtimestamp(now, UTC).date() >= date.fromisoformat(day)
