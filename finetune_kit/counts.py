"""How many tokens a data set has: exactly, or by a sample with its interval."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice
from typing import Literal, TypeAlias

from finetune_kit.errors import ParameterError
from finetune_kit.records import CompletionExample, Example
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import ExampleTokens, Measured

How: TypeAlias = Literal["auto", "exact", "sample"]

SMALL_BYTES = 8_000_000
"""Up to this size a set is counted in full: a second or less."""
_SAMPLE = 4_000
_LARGEST = 256
"""The longest examples are all counted: they vary most, and a limit is theirs to break."""
_CERTAINTY = 1.96
"""95 % of a normal distribution."""
_SEED = 0
_PERCENTILES = (5, 25, 50, 75, 95, 99)

_Measure: TypeAlias = Callable[[Example], Measured]


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, and between which two it lies, with 95 % certainty where it is from a sample."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the number itself is known."""
        return self.low == self.high

    def times(self, factor: float) -> Interval:
        """The same of so many."""
        return Interval(self.value * factor, self.low * factor, self.high * factor)

    def __str__(self) -> str:
        if self.certain:
            return _figure(self.value)
        return f"{_figure(self.value)} ({_figure(self.low)} to {_figure(self.high)})"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """The tokens of a data set for one model.

    What a host bills is `total`, for each epoch. `trained` are those that the model learns to write: completions, and
    assistant turns whose `weight` is not 0.
    """

    host: str
    model: str
    tokenizer: str
    rows: int
    counted_rows: int
    """Fewer than `rows` where a sample was counted."""
    exact: bool
    """Whether every example was counted, and by the model's own tokenizer."""
    total: Interval
    trained: Interval
    mean: float
    """Tokens of an example."""
    max: int
    """The longest example among those counted; of a sample, the longest by bytes are all counted."""
    percentiles: dict[int, int]
    """Tokens of an example at the 5th, 25th, 50th, 75th, 95th and 99th per cent of those drawn at random."""
    mean_trained: float
    """Trained tokens of an example."""
    limit: int | None
    """What the host takes of one example; None where it is not known."""
    over_limit: int | None
    """So many examples are longer than that; always counted in full, None where it cannot be known."""
    uncounted_parts: int
    """Images and the like among the rows counted: their tokens are published nowhere, and are in no number here."""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join((self._title, *(f"  {name:11}{value}" for name, value in self._facts()), *self.notes))

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in self._facts())
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<table><caption>{escape(self._title)}</caption>{rows}</table>{notes}"

    @property
    def _title(self) -> str:
        how = "all" if self.counted_rows == self.rows else f"{self.counted_rows:,} counted, 95 % interval"
        return f"Tokens of {self.rows:,} examples for {self.model} on {self.host} ({how}; tokenizer: {self.tokenizer})"

    def _facts(self) -> list[tuple[str, str]]:
        shares = ", ".join(f"{share} %: {tokens:,}" for share, tokens in self.percentiles.items())
        told = [("total", str(self.total)), ("trained", str(self.trained))]
        told += [("an example", f"{self.mean:,.1f} on average, at most {self.max:,}; {shares}")]
        if self.limit is not None:
            over = "not known how many are" if self.over_limit is None else f"{self.over_limit:,} are"
            told += [("limit", f"{self.limit:,} for each single example; {over} longer")]
        if self.uncounted_parts:
            told += [("not counted", f"{self.uncounted_parts:,} images or other parts")]
        return told


def count_tokens(
    rows: Rows,
    tokens: ExampleTokens,
    *,
    host: str,
    model: str,
    template: PromptTemplate | None = None,
    limit: int | None = None,
    how: How = "auto",
    notes: Sequence[str] = (),
) -> TokenCounts:
    """Count `rows`, in full or by a sample; completions by `template`, where they have one.

    A sample takes the longest examples and 4,000 others, the same in every run, and infers the rest from its tokens per
    byte.
    """
    if how not in ("auto", "exact", "sample"):
        raise ParameterError(f"how={how!r}: give 'auto', 'exact' or 'sample'.", parameter="how")
    lengths = list(rows.content_lengths())

    def measure(example: Example) -> Measured:
        return tokens.measure(rendered(example, template))

    full = how == "exact" or len(rows) <= _SAMPLE + _LARGEST or (how == "auto" and sum(lengths) <= SMALL_BYTES)
    if full:
        measured = list(map(measure, rows))
        drawn: Sequence[Measured] = measured
        total, trained = sum(one.total for one in measured), sum(one.trained for one in measured)
        total_interval, trained_interval = Interval(total, total, total), Interval(trained, trained, trained)
    else:
        sample = _Sample.of(rows, lengths, measure)
        measured, drawn = [*sample.largest, *sample.drawn], sample.drawn
        total_interval = sample.infer([one.total for one in measured])
        trained_interval = sample.infer([one.trained for one in measured])
    bounded = sum(lengths) + tokens.extra_tokens * len(rows)
    if limit is None:
        over = None
    elif full and tokens.exact:
        over = sum(one.total > limit for one in measured)
    else:
        over = _over(rows, lengths, limit, tokens, measure)
    return TokenCounts(
        host=host,
        model=model,
        tokenizer=tokens.name,
        rows=len(rows),
        counted_rows=len(measured),
        exact=full and tokens.exact,
        total=_widened(total_interval, tokens, bounded),
        trained=_widened(trained_interval, tokens, bounded),
        mean=total_interval.value / len(rows) if len(rows) else 0.0,
        max=max((one.total for one in measured), default=0),
        percentiles=_percentiles([one.total for one in drawn]),
        mean_trained=trained_interval.value / len(rows) if len(rows) else 0.0,
        limit=limit,
        over_limit=over,
        uncounted_parts=sum(one.uncounted for one in measured),
        notes=(*notes, *_warnings(tokens)),
    )


def _warnings(tokens: ExampleTokens) -> Iterable[str]:
    if not tokens.exact:
        yield (
            f"Estimated by classes of characters: for English, Chinese and code the truth is {tokens.low:.2f} to "
            f"{tokens.high:.2f} times the estimate, and that is in the intervals. A single example may be further off."
        )


def _widened(interval: Interval, tokens: ExampleTokens, most: int) -> Interval:
    """With the tokenizer's own error; there are never more tokens than bytes."""
    if tokens.exact:
        return interval
    return Interval(
        interval.value, interval.low * tokens.low, min(interval.high * tokens.high, max(most, interval.value))
    )


def rendered(example: Example, template: PromptTemplate | None) -> Example:
    """A completion as `template` writes it for training, however it was written before; anything else as it is."""
    if template is None or not isinstance(example, CompletionExample):
        return example
    # Not by `template.prompt`, which refuses what was rendered before: that is for a rule to say.
    return CompletionExample(example.prompt + template.separator, template.completion(example.completion))


def _over(rows: Rows, lengths: Sequence[int], limit: int, tokens: ExampleTokens, measure: _Measure) -> int | None:
    """Only an example with more bytes than the limit can have more tokens; None where it would take a tokenizer."""
    candidates = [number for number, length in enumerate(lengths) if length + tokens.extra_tokens > limit]
    if not candidates:
        return 0
    if not tokens.exact:
        return None
    return sum(measure(rows[number]).total > limit for number in candidates)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The longest examples, and some of the others by chance."""

    largest: list[Measured]
    drawn: list[Measured]
    drawn_bytes: list[int]
    others: int
    """All that are not among the longest."""
    other_bytes: int

    @classmethod
    def of(cls, rows: Rows, lengths: Sequence[int], measure: _Measure) -> _Sample:
        by_length = sorted(range(len(rows)), key=lengths.__getitem__, reverse=True)
        largest, others = by_length[:_LARGEST], sorted(by_length[_LARGEST:])
        chosen = sorted(random.Random(_SEED).sample(others, _SAMPLE))
        return cls(
            largest=[measure(rows[number]) for number in largest],
            drawn=[measure(rows[number]) for number in chosen],
            drawn_bytes=[lengths[number] for number in chosen],
            others=len(others),
            other_bytes=sum(lengths[number] for number in others),
        )

    def infer(self, counted: Sequence[int]) -> Interval:
        """The sum over all rows, by the ratio of tokens to bytes; what was counted in full is certain."""
        certain, drawn = sum(islice(counted, len(self.largest))), counted[len(self.largest) :]
        size = len(drawn)
        ratio = sum(drawn) / sum(self.drawn_bytes)
        value = ratio * self.other_bytes
        squares = sum(
            (tokens - ratio * length) ** 2 for tokens, length in zip(drawn, self.drawn_bytes, strict=True)
        ) / (size - 1)
        error = _CERTAINTY * self.others * math.sqrt((1 - size / self.others) * squares / size)
        least = certain + sum(drawn)
        return Interval(certain + value, max(least, certain + value - error), certain + value + error)


def _percentiles(counted: Sequence[int]) -> dict[int, int]:
    ordered = sorted(counted)
    if not ordered:
        return {}
    return {share: ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] for share in _PERCENTILES}
