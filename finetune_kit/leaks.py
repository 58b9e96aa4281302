"""What a validation set shares with its training set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import Rows


@dataclass(frozen=True, slots=True)
class Leak:
    """A validation example that the model also meets in training; both are indices into their own data set."""

    training: int
    validation: int
    exact: bool
    """True for an equal example, False where only the prompt is the same."""


def find_leaks(training: Rows, validation: Rows) -> Iterator[Leak]:
    """The leaked validation examples in their order, each once, with the first training example that it repeats."""
    shared = set(validation.row_keys())
    asked: dict[int, int] = {}
    equal: dict[bytes, int] = {}
    for row, key in enumerate(training.row_keys()):
        if key in shared:
            asked.setdefault(key, row)
            equal.setdefault(training.digest(row), row)
    if not asked:
        return
    for row, key in enumerate(validation.row_keys()):
        if key in asked:
            earlier = equal.get(validation.digest(row))
            yield Leak(asked[key] if earlier is None else earlier, row, exact=earlier is not None)


@dataclass(frozen=True, slots=True)
class LeakReport:
    """How much of a validation set the model has met in training; it belongs beside every score."""

    exact: int
    """Validation examples that are also training examples."""
    shared_prompts: int
    """Validation examples of which only the prompt is in the training set."""
    validation_rows: int

    @property
    def ok(self) -> bool:
        """Whether nothing is shared."""
        return not self.exact and not self.shared_prompts

    def summary(self) -> str:
        """One sentence."""
        if self.ok:
            return "Training and validation share no example and no prompt."
        return (
            f"Of {self.validation_rows:,} validation examples, {self.exact:,} are also training examples, "
            f"and {self.shared_prompts:,} more have the prompt of one."
        )


def leak_report(training: Rows, validation: Rows) -> LeakReport:
    """Count what the two sides share."""
    leaks = Counter(leak.exact for leak in find_leaks(training, validation))
    return LeakReport(exact=leaks[True], shared_prompts=leaks[False], validation_rows=len(validation))
