"""One question in every row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import NOTHING_ASKED, Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class IdenticalPrompts:
    """Where every row asks the same, the model cannot learn what the answers depend on.

    Bad:  `{"prompt": "Write a review", "completion": …}` in every row
    Good: `{"prompt": "Write a review of a kettle", "completion": …}`, or an empty prompt in every row
    """

    code = "identical_prompts"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        rows = last.rows
        if len(rows) < 2 or rows.flags(range(1))[0] & NOTHING_ASKED:
            return
        keys = rows.row_keys()
        if keys[-1] == keys[0] and keys.count(keys[0]) == len(keys):
            message = "every row asks the same"
            hint = "Put what the answer depends on into the prompt; for texts that depend on nothing, leave it empty."
            yield Issue(self.code, Severity.WARNING, message, hint=hint)
