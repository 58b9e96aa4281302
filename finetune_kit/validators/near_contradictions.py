"""Nearly the same question with two labels."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

from finetune_kit._units import COMPLETION, label_text
from finetune_kit.labels import most_labels
from finetune_kit.near import THRESHOLD, Near, checked_threshold, near_unlike, searched_by_default
from finetune_kit.rows import Batch, Rows
from finetune_kit.validators.contradictions import question
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class NearContradictions:
    """Nearly the same prompt with another label: one of the two is mostly wrong.

    Only where the completions are labels of a closed set. The very same prompt is left to `Contradictions`, and labels
    that differ in letter case alone to other rules.

    Bad:  `"Where is my parcel now, please?"` labelled `track` and `"where is my parcel now please"` labelled `refund`
    Good: both labelled `track`
    """

    threshold: float = THRESHOLD
    """The least similarity of the prompts, from 0.5 to 1."""
    small_sets_only: bool = False
    """Whether sets above 20,000 examples or 16 MB are let pass, as they are by default; `NearDuplicates` tells."""

    code = "near_contradiction"

    def start(self) -> NearContradictionsCheck:
        """Begin a run."""
        checked_threshold(self.threshold)
        return NearContradictionsCheck(self)


@dataclass(slots=True)
class NearContradictionsCheck:
    """Takes down the labels, and reads all rows again at the end if there are labels."""

    rule: NearContradictions
    _rows: Rows | None = None
    _wanted: bool = True
    _labels: array[int] = field(default_factory=lambda: array("Q"))
    _distinct: set[int] = field(default_factory=set[int])

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        if self._rows is None:
            self._rows = batch.rows
            self._wanted = not self.rule.small_sets_only or searched_by_default(batch.rows)
        if self._wanted:
            texts = [(label_text(example, COMPLETION) or "").casefold() for example in batch.examples]
            labels = list(map(_hash, texts))
            self._labels.extend(labels)
            self._distinct.update(labels)
            self._wanted = len(self._distinct) <= most_labels(len(batch.rows))
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example whose near-same prompt has another label before."""
        rows = self._rows
        if rows is None or not self._wanted or len(self._distinct) < 2:
            return
        for pair in near_unlike(rows, self._labels, threshold=self.rule.threshold):
            if not _same_prompt(rows, pair):
                yield self._issue(pair)

    def _issue(self, pair: Near) -> Issue:
        return Issue(
            self.rule.code,
            Severity.WARNING,
            "nearly the same prompt has another label in an earlier example",
            row=pair.row,
            field="completion",
            related=pair.earlier,
            hint="Correct the wrong label, or say in the prompts what makes them differ.",
        )


def _hash(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _same_prompt(rows: Rows, pair: Near) -> bool:
    if rows.key(pair.row) != rows.key(pair.earlier):
        return False
    return question(rows[pair.row]) == question(rows[pair.earlier])
