"""How long the texts of a data set are and which labels it has, found when somebody asks, in one look at the rows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from finetune_kit.labels import most_labels
from finetune_kit.records import ChatExample, CompletionExample, Example, Kind, Message, PreferenceExample
from finetune_kit.rows import Rows

Unit = Literal["characters", "messages"]

_BARS = 24
_STEPS = (1, 2, 5)
_LABELS_SHOWN = 20
_LABEL_LENGTH = 80


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long one part of the examples is."""

    part: str
    """Which part, such as `completion`."""
    unit: Unit
    shortest: int
    median: int
    longest: int
    total: int
    step: int
    """Each bar of the histogram is so wide."""
    bars: tuple[int, ...]
    """How many examples have a length from 0 to under one step, how many from one to under two, and so on."""
    beyond: int
    """How many are longer than the last bar reaches: less than one of a hundred."""


@dataclass(frozen=True, slots=True)
class Labels:
    """How often each label occurs, where the completions are labels of a closed set."""

    shown: tuple[tuple[str, int], ...]
    """The most frequent ones, each with its examples; what a rule calls secret is masked, a long text cut."""
    others: int
    """How many labels are not shown."""
    others_rows: int
    """How many examples have one of those."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The shape of a data set."""

    lengths: tuple[Lengths, ...]
    labels: Labels | None


Masking = Callable[[Sequence[str]], list[str]]
"""Texts as they may be shown."""


def profile_of(rows: Rows, *, masking: Masking = list) -> Profile:
    """Look at every row once."""
    if not len(rows):
        return Profile((), None)
    measures = [_Measure(part, unit) for part, unit in _PARTS[rows.kind]]
    labels: Counter[str] | None = Counter()
    most = most_labels(len(rows))
    for batch in rows.batches():
        read = [_parts_of(example) for example in batch.examples]
        for measure, lengths in zip(measures, zip(*(lengths for lengths, _ in read), strict=True), strict=True):
            measure.take(lengths)
        if labels is not None:
            labels.update(answer for _, answer in read)
            labels = labels if len(labels) <= most else None
    found = _labels(labels, masking) if labels is not None and len(labels) > 1 else None
    return Profile(tuple(measure.build() for measure in measures), found)


_CHARACTERS: Unit = "characters"
_MESSAGES: Unit = "messages"
_PARTS: Mapping[Kind, tuple[tuple[str, Unit], ...]] = {
    "completion": (("prompt", _CHARACTERS), ("completion", _CHARACTERS)),
    "chat": (("what is asked", _CHARACTERS), ("what the assistant answers", _CHARACTERS), ("turns", _MESSAGES)),
    "preference": (("what is asked", _CHARACTERS), ("better answer", _CHARACTERS), ("worse answer", _CHARACTERS)),
}


def _parts_of(example: Example) -> tuple[tuple[int, ...], str]:
    """The length of each part, and what could be a label."""
    if isinstance(example, CompletionExample):
        return (len(example.prompt), len(example.completion)), example.completion
    if isinstance(example, PreferenceExample):
        parts = (example.messages, example.preferred, example.non_preferred)
        return tuple(map(_length, parts)), _last_text(example.preferred)
    asked, answered = _asked_and_answered(example)
    return (asked, answered, len(example.messages)), _last_text(example.messages)


def _asked_and_answered(example: ChatExample) -> tuple[int, int]:
    asked = answered = 0
    for message in example.messages:
        if message.role == "assistant":
            answered += len(message.text)
        else:
            asked += len(message.text)
    return asked, answered


def _length(messages: Sequence[Message]) -> int:
    return sum(len(message.text) for message in messages)


def _last_text(messages: Sequence[Message]) -> str:
    return messages[-1].text if messages else ""


class _Measure:
    """Counts each length; there are far fewer of them than rows."""

    def __init__(self, part: str, unit: Unit) -> None:
        self._part = part
        self._unit: Unit = unit
        self._counts: Counter[int] = Counter()

    def take(self, lengths: Iterable[int]) -> None:
        self._counts.update(lengths)

    def build(self) -> Lengths:
        lengths = sorted(self._counts)
        up_to = list(accumulate(self._counts[length] for length in lengths))
        rows = up_to[-1]
        nearly_longest = lengths[bisect_left(up_to, rows - rows // 100)]
        step = _step(nearly_longest)
        bars = [0] * (nearly_longest // step + 1)
        beyond = 0
        for length in lengths:
            if length // step < len(bars):
                bars[length // step] += self._counts[length]
            else:
                beyond += self._counts[length]
        return Lengths(
            part=self._part,
            unit=self._unit,
            shortest=lengths[0],
            median=lengths[bisect_left(up_to, (rows + 1) // 2)],
            longest=lengths[-1],
            total=sum(length * times for length, times in self._counts.items()),
            step=step,
            bars=tuple(bars),
            beyond=beyond,
        )


def _step(longest: int) -> int:
    """The width of a bar, a round number, so that there are not too many of them."""
    power = 1
    while True:
        for first in _STEPS:
            if longest // (first * power) < _BARS:
                return first * power
        power *= 10


def _labels(counts: Counter[str], masking: Masking) -> Labels:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ordered[:_LABELS_SHOWN]
    texts = masking([label for label, _ in shown])
    cut = [text if len(text) <= _LABEL_LENGTH else text[: _LABEL_LENGTH - 1] + "…" for text in texts]
    others = ordered[_LABELS_SHOWN:]
    return Labels(
        shown=tuple((label, times) for label, (_, times) in zip(cut, shown, strict=True)),
        others=len(others),
        others_rows=sum(times for _, times in others),
    )


class Survey:
    """A profile that is made when it is first asked for, or when the report that holds it leaves the process."""

    __slots__ = ("_masking", "_profile", "_rows")

    def __init__(self, rows: Rows | None, masking: Masking = list, *, profile: Profile | None = None) -> None:
        self._rows, self._masking, self._profile = rows, masking, profile

    def profile(self) -> Profile:
        """The profile; nothing is in it where there were no rows to look at."""
        if self._profile is None:
            rows = self._rows
            self._profile = Profile((), None) if rows is None else profile_of(rows, masking=self._masking)
        return self._profile

    def __reduce__(self) -> tuple[Callable[[Profile], Survey], tuple[Profile]]:
        return surveyed, (self.profile(),)


def surveyed(profile: Profile) -> Survey:
    """A survey that was made before."""
    return Survey(None, profile=profile)
