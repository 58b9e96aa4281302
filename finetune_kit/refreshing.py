"""`refresh_models`: until when models answer, asked of the host itself and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from finetune_kit._quoting import counted, shown
from finetune_kit._retry import QUESTIONS
from finetune_kit.backends import Backend, TellsShutdowns, connect
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import HostProfile, today
from finetune_kit.hosts.told import days_of_models, keep_told


@dataclass(frozen=True, slots=True)
class Changed:
    """A model that shuts down on another day than was on file."""

    model: str
    before: date | None
    after: date


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a host has told of its models."""

    host: str
    asked_on: date
    listed: int
    """How many models it lists."""
    shuts_down: Mapping[str, date]
    """The first day on which each does not answer any more; models without a day are not in it."""
    changed: tuple[Changed, ...]

    def __str__(self) -> str:
        if not self.shuts_down:
            return (
                f"{self.host!r} lists {counted(self.listed, 'model')} with the last day of none: what is on file stays."
            )
        lines = [f"{self.host!r} named the last days of {counted(len(self.shuts_down), 'model')} on {self.asked_on}."]
        lines += [f"  {one.model}: {one.after}, not {one.before or 'open end'}" for one in self.changed]
        return "\n".join(lines if self.changed else [*lines, "  Those on file here were right."])


def refresh_models(backend: Backend | None = None) -> Refreshed:
    """Ask a host for its list of models, and keep the shut-down dates in it.

    `models()`, `jobs()` and every backend that is made from then on, with its warnings and refusals, go by them.
    They are kept under the home folder with the day, and go before those that the package ships; what your own file of
    hosts says (FINETUNE_KIT_HOSTS) goes before both. Without `backend`, the usual one is asked. Raises `ParameterError`
    where there is no host to ask, such as the engine on this machine.

    >>> print(refresh_models(HostedBackend()))  # doctest: +SKIP
    """
    place = connect(backend)
    if not isinstance(place, TellsShutdowns):
        profile = getattr(place, "profile", None)
        name = repr(profile.name) if isinstance(profile, HostProfile) else f"backend={shown(place)}"
        raise ParameterError(
            f"{name} has no list of models with dates. Pass backend=HostedBackend(...).", parameter="backend"
        )
    profile = place.profile
    listed = QUESTIONS.call(place.shutdown_dates)
    dates = {name: day for name, day in listed.items() if day is not None}
    changed = tuple(
        Changed(name, profile.models[name].shuts_down, day)
        for name, day in days_of_models(profile.models, profile.aliases, dates).items()
        if profile.models[name].shuts_down != day
    )
    if dates:
        keep_told(profile.name, dates, address=getattr(place, "address", ""))
    return Refreshed(profile.name, today(), len(listed), dates, changed)
