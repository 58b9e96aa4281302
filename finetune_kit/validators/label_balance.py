"""How much of a set the most frequent label takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import labels_of


@dataclass(frozen=True, slots=True)
class LabelBalance:
    """A model that always gives the most frequent label is right so often: a score means something only above that.

    Bad:  990 rows "ham" and 10 rows "spam"
    Good: 600 rows "ham" and 400 rows "spam"
    """

    extreme: float = 0.9
    """From this share of one label on it is a warning."""

    code = "label_balance"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        labels = last.view(labels_of)
        if labels is None or len(labels.counts) < 2 or not labels.short:
            return
        share = max(labels.counts.values()) / labels.rows
        message = f"the most frequent of {len(labels.counts):,} labels has {share:.1%} of the rows"
        always = f"Who always answers with it is right {share:.1%} of the time: compare scores with that."
        if share < self.extreme:
            yield Issue(self.code, Severity.INFO, message, hint=always)
        else:
            hint = f"{always} Add examples of the other labels, or leave out some of this one."
            yield Issue(self.code, Severity.WARNING, message, hint=hint)
