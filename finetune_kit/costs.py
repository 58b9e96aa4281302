"""What a training costs, and what its model costs afterwards: all of it, or the reason why nobody can say."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from html import escape

from finetune_kit._arguments import number, whole_number
from finetune_kit.counts import Interval, TokenCounts
from finetune_kit.errors import BudgetError, ModelClosedError
from finetune_kit.hosts import HostProfile, ModelFacts, check_dates

_MILLION = 1_000_000
_NOTHING = Interval(0, 0, 0)
_MOST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class CostItem:
    """One line of a bill."""

    name: str
    """`training`, `hosting` or `use`."""
    quantity: str
    """How much of what at which price, in words."""
    dollars: Interval | None
    """US dollars; None where a price is not known."""
    unknown: str = ""
    """What is not known, where something is not."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What was asked for, item by item, in US dollars without taxes.

    `total` is None as soon as one item is not known: a part of a bill is no estimate of it.
    """

    host: str
    model: str
    n_epochs: int
    items: tuple[CostItem, ...]
    counts: TokenCounts
    as_of: date | None
    """The day on which the prices were true; None where nothing is paid, or no price is known."""
    source: str = ""
    """Where the prices are from."""
    notes: tuple[str, ...] = ()
    """What is not in the estimate, and what else to know."""

    @property
    def total(self) -> Interval | None:
        """US dollars; None where any item is not known."""
        amounts = [item.dollars for item in self.items]
        known = [amount for amount in amounts if amount is not None]
        if len(known) < len(amounts):
            return None
        return Interval(sum(one.value for one in known), sum(one.low for one in known), sum(one.high for one in known))

    @property
    def reason(self) -> str:
        """Why there is no total; empty where there is one."""
        return "; ".join(item.unknown for item in self.items if item.unknown)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        total = self.total
        lines = [f"Cost of {self.model} on {self.host}, {_epochs(self.n_epochs)}{self._dated}"]
        lines += [f"  {item.name:9}{_shown(item.dollars):>24}   {item.quantity}" for item in self.items]
        lines += [f"  {'total':9}{_shown(total):>24}" + (f"   {self.reason}" if total is None else "")]
        return "\n".join((*lines, *self.notes))

    def _repr_html_(self) -> str:
        total = self.total
        rows = [(item.name, _shown(item.dollars), item.quantity) for item in self.items]
        rows.append(("total", _shown(total), self.reason))
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        title = f"Cost of {self.model} on {self.host}, {_epochs(self.n_epochs)}{self._dated}"
        return f"<table><caption>{escape(title)}</caption>{body}</table>{notes}"

    @property
    def _dated(self) -> str:
        return "" if self.as_of is None else f"; prices of {self.as_of} ({self.source})"


def estimate_cost(
    profile: HostProfile,
    model: str,
    counts: TokenCounts,
    *,
    n_epochs: int = 4,
    hours_hosted: float | None = None,
    calls: int | None = None,
    input_tokens_per_call: float | None = None,
    output_tokens_per_call: float | None = None,
    on: date | None = None,
) -> CostEstimate:
    """The cost of training `model` there on what was counted; hosting and use where they are asked for.

    A call reads and writes as much as an example of the training set has, unless told otherwise. `on` is the day for
    which shut-down dates are looked at, by default today.
    """
    epochs = whole_number("n_epochs", n_epochs, 1)
    facts = profile.models.get(model)
    prices = None if facts is None else facts.prices
    items = [_training(profile, facts, counts, epochs)]
    if hours_hosted is not None:
        items.append(_hosting(profile, number("hours_hosted", hours_hosted, 0, _MOST)))
    if calls is not None:
        reads, writes = _per_call(counts, input_tokens_per_call, output_tokens_per_call)
        items.append(_use(profile, facts, whole_number("calls", calls, 0), reads=reads, writes=writes))
    paid = prices is not None and not profile.free_of_charge
    return CostEstimate(
        host=profile.name,
        model=model,
        n_epochs=epochs,
        items=tuple(items),
        counts=counts,
        as_of=prices.as_of if paid and prices is not None else None,
        source=prices.source if paid and prices is not None else "",
        notes=tuple(_notes(profile, model, counts, hosted=hours_hosted is not None, used=calls is not None, on=on)),
    )


def check_budget(estimate: CostEstimate, budget: float) -> None:
    """`BudgetError` where the upper end of the estimate is more than `budget`, or there is no estimate."""
    total = estimate.total
    what = f"training {estimate.model} on {estimate.host}"
    if total is None:
        raise BudgetError(
            f"nobody can say whether {what} stays within {_dollars(budget)}: {estimate.reason}. Tell the price in a "
            "file named by FINETUNE_KIT_HOSTS, or leave budget= out. Nothing was uploaded.",
            budget=budget,
            estimate=estimate,
        )
    if total.high > budget:
        raise BudgetError(
            f"{what} for {_epochs(estimate.n_epochs)} may cost {_dollars(total.high)}, which is more than the budget "
            f"of {_dollars(budget)}: {estimate.items[0].quantity}. Train on fewer examples, for fewer epochs or on a "
            "cheaper model, or raise budget=. Nothing was uploaded.",
            budget=budget,
            estimate=estimate,
        )


def checked_budget(budget: object) -> float:
    """A budget in US dollars."""
    return number("budget", budget, 0, _MOST, meaning=" (US dollars)")


def _training(profile: HostProfile, facts: ModelFacts | None, counts: TokenCounts, epochs: int) -> CostItem:
    if profile.free_of_charge:
        return CostItem("training", f"{counts.total} tokens x {_epochs(epochs)}, free on {profile.name}", _NOTHING)
    prices = None if facts is None else facts.prices
    quantity = f"{counts.total} tokens x {_epochs(epochs)}"
    if prices is None or (prices.training is None and prices.training_per_hour is None):
        return _unknown("training", quantity, f"the training price of {counts.model} on {profile.name} is not on file")
    if prices.training is None:
        hourly = f"{counts.model} is billed at {_dollars(prices.training_per_hour or 0)} an hour"
        return _unknown("training", quantity, f"{hourly}, and how long it trains is not known")
    if counts.uncounted_parts:
        unknown = "the data hold images, whose tokens are billed and published nowhere"
        return _unknown("training", quantity, unknown)
    dollars = counts.total.times(epochs * prices.training / _MILLION)
    return CostItem("training", f"{quantity} x {_dollars(prices.training)} for a million", dollars)


def _hosting(profile: HostProfile, hours: float) -> CostItem:
    quantity = f"{hours:,g} hours"
    if profile.free_of_charge or profile.hosting_per_hour == 0:
        return CostItem("hosting", f"{quantity}, free on {profile.name}", _NOTHING)
    if profile.hosting_per_hour is None:
        return _unknown("hosting", quantity, f"the price of hosting on {profile.name} is not on file")
    amount = hours * profile.hosting_per_hour
    each = _dollars(profile.hosting_per_hour)
    return CostItem("hosting", f"{quantity} x {each}", Interval(amount, amount, amount))


def _per_call(counts: TokenCounts, reads: object, writes: object) -> tuple[Interval, Interval]:
    """Tokens that each call reads and writes."""
    rows = max(1, counts.rows)
    total, trained = counts.total.times(1 / rows), counts.trained.times(1 / rows)
    asked = Interval(total.value - trained.value, max(0.0, total.low - trained.high), total.high - trained.low)
    if counts.total.certain:
        asked = Interval(asked.value, asked.value, asked.value)
    if reads is not None:
        told = number("input_tokens_per_call", reads, 0, _MOST)
        asked = Interval(told, told, told)
    if writes is not None:
        told = number("output_tokens_per_call", writes, 0, _MOST)
        trained = Interval(told, told, told)
    return asked, trained


def _use(profile: HostProfile, facts: ModelFacts | None, calls: int, *, reads: Interval, writes: Interval) -> CostItem:
    prices = None if facts is None else facts.prices
    quantity = f"{calls:,} calls x {reads.value:,.0f} tokens in and {writes.value:,.0f} out"
    if profile.free_of_charge:
        return CostItem("use", f"{quantity}, free on {profile.name}", _NOTHING)
    if prices is None or prices.input is None or prices.output is None:
        return _unknown("use", quantity, f"the price of calling the model on {profile.name} is not on file")
    read, written = reads.times(calls * prices.input / _MILLION), writes.times(calls * prices.output / _MILLION)
    dollars = Interval(read.value + written.value, read.low + written.low, read.high + written.high)
    each = f"{_dollars(prices.input)} and {_dollars(prices.output)} for a million"
    return CostItem("use", f"{quantity} x {each}", dollars)


def _unknown(name: str, quantity: str, why: str) -> CostItem:
    return CostItem(name, quantity, None, why)


def _notes(
    profile: HostProfile, model: str, counts: TokenCounts, *, hosted: bool, used: bool, on: date | None
) -> Iterator[str]:
    if not profile.free_of_charge:
        left_out = [
            *([] if hosted or profile.hosting_per_hour == 0 else ["hosting (hours_hosted=)"]),
            *([] if used else ["calls of the model (calls=)"]),
        ]
        if left_out:
            yield f"Not asked for, and not in the estimate: {' and '.join(left_out)}."
    try:
        closes = check_dates(profile, model, on=on)
    except ModelClosedError as error:
        closes = str(error)
    if closes is not None:
        yield closes
    yield from counts.notes


def _epochs(n_epochs: int) -> str:
    return f"{n_epochs} epoch" if n_epochs == 1 else f"{n_epochs} epochs"


def _shown(amount: Interval | None) -> str:
    if amount is None:
        return "not known"
    if amount.certain:
        return _dollars(amount.value)
    return f"{_dollars(amount.value)} ({_dollars(amount.low)} to {_dollars(amount.high)})"


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}" if amount >= 0.1 or not amount else f"${amount:.2g}"
