"""What kind of task the examples look like."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from finetune_kit.rows import NOTHING_ASKED, Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import labels_of


class Task(Enum):
    """The founding tool's three kinds of task, and none for conversations and preferences."""

    CLASSIFICATION = "classification"
    CONDITIONAL = "conditional generation"
    OPEN = "open-ended generation"
    NONE = "none"


def task_of(batch: Batch) -> Task:
    """What the set that the batch belongs to looks like, judged as the founding tool did."""
    rows = batch.rows
    if rows.kind != "completion":
        return Task.NONE
    if all(flag & NOTHING_ASKED for flag in set(rows.flags())):
        return Task.OPEN
    return Task.CLASSIFICATION if batch.view(labels_of) else Task.CONDITIONAL


@dataclass(frozen=True, slots=True)
class TaskType:
    """What the set looks like is said, because other rules, and the measures of a score, depend on it.

    Bad:  300 labels in 400 rows, which look like free answers
    Good: 77 labels in 10,000 rows
    """

    code = "task_type"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        task = last.view(task_of)
        if task is Task.NONE:
            return
        labels, hint = last.view(labels_of), ""
        if task is Task.OPEN:
            why = "there are no prompts"
        elif labels is None or task is Task.CONDITIONAL:
            why = "most completions occur once"
        else:
            kinds = len(labels.counts)
            why = f"{labels.rows:,} rows have {kinds:,} completion{'' if kinds == 1 else 's'} between them"
            hint = "It is judged by counting alone. For labels a small base model is often enough."
        yield Issue(self.code, Severity.INFO, f"this looks like {task.value}: {why}", hint=hint)
