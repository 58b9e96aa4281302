"""`Comparison`: two models by their answers to the same held-out questions, and whether that is enough to tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from finetune_kit._intervals import difference_interval, share_interval
from finetune_kit._quoting import quoted

MARGIN = 0.05
_SHOWN = 5

Verdict: TypeAlias = Literal["as good", "better", "worse", "not enough data to tell"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One question: the answer in the data, and that of each model."""

    row: int
    """Its place in the validation set, from 0."""
    reference: str
    before: str | None
    """None where the old model's answer is not known."""
    after: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many answers are the same, character for character but for white space around them."""

    count: int
    rows: int

    @property
    def share(self) -> float:
        """Of the answers; 0 where there are none."""
        return self.count / self.rows if self.rows else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share lies on many more such questions, with 95 % confidence."""
        return share_interval(self.count, self.rows)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count:,} of {self.rows:,} ({self.share:.1%}; {low:.1%} to {high:.1%})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the new model answers beside the old one.

    Answers are equal or not, which is right for labels and hard on free text: there, two good answers seldom agree.
    """

    old_model: str
    new_model: str
    compared: tuple[Compared, ...]
    wordless: int = 0
    """Validation examples that were left out, since their answer is a tool call or no text."""
    margin: float = MARGIN
    """By how much shares may differ for the models to be as good as each other."""

    @property
    def old(self) -> Agreement | None:
        """How often the old model gave the answer in the data; None where its answers are not known."""
        paired = self._paired
        return Agreement(sum(_same(before, one.reference) for one, before in paired), len(paired)) if paired else None

    @property
    def new(self) -> Agreement:
        """How often the new model gave the answer in the data."""
        return Agreement(sum(_same(one.after, one.reference) for one in self.compared), len(self.compared))

    @property
    def alike(self) -> Agreement | None:
        """How often the new model gave the old one's answer; None where that is not known."""
        paired = self._paired
        return Agreement(sum(_same(before, one.after) for one, before in paired), len(paired)) if paired else None

    @property
    def difference(self) -> tuple[float, float] | None:
        """The new model's share of right answers less the old one's: from, to, with 95 % confidence."""
        paired = self._paired
        if not paired:
            return None
        right = [(_same(before, one.reference), _same(one.after, one.reference)) for one, before in paired]
        return difference_interval(right.count((True, False)), right.count((False, True)), len(right))

    @property
    def verdict(self) -> Verdict:
        """What the interval of the difference allows to say, and no more."""
        difference = self.difference
        if difference is None:
            return "not enough data to tell"
        low, high = difference
        if low >= -self.margin and high <= self.margin:
            return "as good"
        if low > 0:
            return "better"
        return "worse" if high < 0 else "not enough data to tell"

    @property
    def differing(self) -> tuple[Compared, ...]:
        """The questions that the new model answers otherwise than the old one; than the data, where that is unknown."""
        return tuple(
            one for one in self.compared if not _same(one.after, one.reference if one.before is None else one.before)
        )

    @property
    def _paired(self) -> Sequence[tuple[Compared, str]]:
        return [(one, one.before) for one in self.compared if one.before is not None]

    def __str__(self) -> str:
        if not self.compared:
            return f"{self.new_model} beside {self.old_model}: no validation question to compare on. Not enough data."
        told = [f"{self.new_model} beside {self.old_model}, on {len(self.compared):,} validation questions:"]
        told.append(f"  new model, same as the data  {self.new}")
        if (old := self.old) is not None:
            told.append(f"  old model, same as the data  {old}")
        if (alike := self.alike) is not None:
            told.append(f"  new model, same as the old   {alike}")
        if (difference := self.difference) is not None:
            told.append(
                f"  new less old                 {difference[0]:+.1%} to {difference[1]:+.1%} with 95 % confidence"
            )
        else:
            told.append("  the old model's answers are not in the archive")
        if self.wordless:
            told.append(f"  left out, answers that are tool calls: {self.wordless:,}")
        told += [
            f"  row {one.row}: {quoted(one.after)}, not {quoted(one.reference if one.before is None else one.before)}"
            for one in self.differing[:_SHOWN]
        ]
        told.append(f"  {self._in_words}")
        return "\n".join(told)

    @property
    def _in_words(self) -> str:
        within = f"within {self.margin:.0%} of the old one"
        return {
            "as good": f"As good: {within}.",
            "better": "Better than the old one.",
            "worse": "Worse than the old one.",
            "not enough data to tell": f"Not enough data to tell whether it is {within}.",
        }[self.verdict]

    def __repr__(self) -> str:
        return f"<Comparison of {self.new_model} with {self.old_model}: {self.verdict}>"


def _same(one: str, other: str) -> bool:
    return one.strip() == other.strip()
