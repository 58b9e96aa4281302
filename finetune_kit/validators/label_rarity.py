"""Labels with hardly an example."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import labels_of


@dataclass(frozen=True, slots=True)
class RareLabels:
    """A label needs some examples to be learned from, and one more to be checked with.

    Bad:  1 row "lost card" among 500 rows with other labels
    Good: 20 rows "lost card"
    """

    few: int = 5
    """With fewer rows than this a label is rare."""

    code = "rare_label"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        labels = last.view(labels_of)
        if labels is None or not labels.short:
            return
        for label, times in labels.counts.items():
            if times < self.few:
                message, hint = _told(times)
                row = labels.first[label]
                yield Issue(self.code, Severity.WARNING, message, row=row, field=labels.field(label), hint=hint)


def _told(times: int) -> tuple[str, str]:
    if times == 1:
        hint = "It can be learned or checked, not both: add examples of it, merge it with another label, or drop it."
        return "the label of this row stands in no other row", hint
    hint = "So few teach little and check less: add examples of it, or merge it with another label."
    return f"the label of this row stands in {times} rows only", hint
