"""Whether there is anything to tell apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import labels_of


@dataclass(frozen=True, slots=True)
class OneClass:
    """A set needs positive and negative examples: with one answer to all prompts nothing can be told apart.

    Bad:  "spam" in every row
    Good: "spam" in some rows, "ham" in the others
    """

    code = "one_class"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        labels = last.view(labels_of)
        if labels is not None and len(labels.counts) == 1:
            message = "every row has the same answer"
            hint = "The model would give it to everything: add examples that want another one."
            yield Issue(self.code, Severity.WARNING, message, hint=hint)
