"""Base models side by side: what they cost, what they take, and until when."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import overload

from finetune_kit._quoting import shown
from finetune_kit._tables import html_table, text_table
from finetune_kit.errors import ParameterError
from finetune_kit.hosts.calendar import today
from finetune_kit.hosts.loading import host_profile, host_profiles
from finetune_kit.hosts.profile import HostProfile, Method, ModelFacts, State

_COLUMNS = ("host", "model", "state", "training ends", "shuts down", "training", "input", "cached", "output", "context")
_NUMBERS = frozenset({"training", "input", "cached", "output", "context"})


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One base model on one host; prices in US dollars for a million tokens, None where they are not known."""

    host: str
    model: str
    state: State
    """On the day that was asked for."""
    methods: tuple[Method, ...]
    training_price: float | None
    training_price_per_hour: float | None
    input_price: float | None
    cached_input_price: float | None
    output_price: float | None
    hosting_price_per_hour: float | None
    training_context_tokens: int | None
    max_output_tokens: int | None
    training_ends: date | None
    shuts_down: date | None
    days_left: int | None
    """Until it shuts down, from the day that was asked for; 0 where it has, None where no end is known."""
    about: str
    source: str
    as_of: date
    """The date of the older of the facts and the prices."""
    age_days: int
    """How old they were on the day that was asked for; 0 where that day lies before them."""

    @classmethod
    def of(cls, profile: HostProfile, model: str, facts: ModelFacts, on: date) -> ModelRow:
        """A row of the table."""
        prices = facts.prices
        oldest = facts.as_of if prices is None else min(facts.as_of, prices.as_of)
        return cls(
            host=profile.name,
            model=model,
            state=facts.state(on),
            methods=facts.methods,
            training_price=None if prices is None else prices.training,
            training_price_per_hour=None if prices is None else prices.training_per_hour,
            input_price=None if prices is None else prices.input,
            cached_input_price=None if prices is None else prices.cached_input,
            output_price=None if prices is None else prices.output,
            hosting_price_per_hour=profile.hosting_per_hour,
            training_context_tokens=facts.training_context_tokens,
            max_output_tokens=facts.max_output_tokens,
            training_ends=facts.training_ends,
            shuts_down=facts.shuts_down,
            days_left=facts.days_left(on),
            about=facts.about,
            source=facts.source if prices is None else f"{facts.source}; {prices.source}",
            as_of=oldest,
            age_days=max(0, (on - oldest).days),
        )

    def cells(self) -> tuple[str, ...]:
        """What the table shows."""
        hourly = self.training_price_per_hour
        return (
            self.host,
            self.model,
            self.state,
            _day(self.training_ends),
            _day(self.shuts_down),
            _dollars(self.training_price) if hourly is None else f"{_dollars(hourly)}/h",
            _dollars(self.input_price),
            _dollars(self.cached_input_price),
            _dollars(self.output_price),
            "?" if self.training_context_tokens is None else f"{self.training_context_tokens:,}",
        )


class ModelTable(Sequence[ModelRow]):
    """Rows to work with; printed, an aligned table, and a table in a notebook too."""

    def __init__(
        self,
        rows: Iterable[ModelRow],
        *,
        on: date,
        without_models: Sequence[str] = (),
        told: Mapping[str, date] | None = None,
    ) -> None:
        self._rows = tuple(rows)
        self.told = dict(told or {})
        """Hosts that were asked for the last days of their models themselves, and when."""
        self.on = on
        """The day on which the states are true."""
        self.without_models = tuple(without_models)
        """Hosts whose models are not in the data."""

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> ModelRow: ...
    @overload
    def __getitem__(self, index: slice) -> ModelTable: ...
    def __getitem__(self, index: int | slice) -> ModelRow | ModelTable:
        if isinstance(index, slice):
            return ModelTable(self._rows[index], on=self.on, without_models=self.without_models, told=self.told)
        return self._rows[index]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return text_table(_COLUMNS, self._cells(), note=self._note(), numbers=_NUMBERS)

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._cells(), note=self._note())

    def _cells(self) -> Iterator[tuple[str, ...]]:
        return (row.cells() for row in self._rows)

    def _note(self) -> str:
        told = f"As of {self.on}. US$ for a million tokens; '?' is not known, '-' has no date."
        if self._rows:
            oldest = min(row.as_of for row in self._rows)
            told += f" The oldest facts are of {oldest}, {max(row.age_days for row in self._rows):,} days before."
        for host, day in self.told.items():
            age = max(0, (self.on - day).days)
            told += f" The last days of {host!r} are as it told them itself on {day}, {age:,} days before."
        if self.without_models:
            told += f" No models are on file for {', '.join(self.without_models)}."
        return told


def models(
    host: str | None = None, *, on: date | None = None, hosts: str | os.PathLike[str] | None = None
) -> ModelTable:
    """The base models of one host, or of all, with prices, limits and the state of each on a day, by default today.

    `hosts` is a file of your own with newer facts, else what the environment variable FINETUNE_KIT_HOSTS names.
    `finetune_kit.refresh_models(backend)` asks a host for its own dates.

    >>> row = next(row for row in models("openai", on=date(2023, 6, 1)) if row.model == "davinci")
    >>> row.state, row.training_price, row.shuts_down.isoformat()
    ('trainable', 30.0, '2024-01-04')
    """
    # Most people run no type checker, and a date is easily passed as text.
    if on is not None and not isinstance(on, date):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ParameterError(f"on={shown(on)}: give a datetime.date.", parameter="on")
    day = on.date() if isinstance(on, datetime) else on or today()
    profiles = host_profiles(hosts) if host is None else {host: host_profile(host, hosts=hosts)}
    rows = [
        ModelRow.of(profile, name, facts, day)
        for profile in profiles.values()
        for name, facts in profile.models.items()
    ]
    return ModelTable(
        rows,
        on=day,
        without_models=[name for name, profile in profiles.items() if not profile.models],
        told={name: profile.dates_told for name, profile in profiles.items() if profile.dates_told is not None},
    )


def _day(when: date | None) -> str:
    return "-" if when is None else when.isoformat()


def _dollars(amount: float | None) -> str:
    if amount is None:
        return "?"
    return f"{amount:.2f}" if round(amount, 2) == amount else f"{amount:g}"
