"""How often each answer occurs, where the answers look like labels of a closed set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from finetune_kit.labels import most_labels
from finetune_kit.records import ChatExample
from finetune_kit.rows import Batch, Rows

_LONGEST_LABEL = 100
_LONGEST_ANSWER = 10_000  # characters: of longer ones a thousand would fill the memory


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a set, as they are written."""

    counts: Mapping[str, int]
    """In the order in which they first occur."""
    first: Mapping[str, int]
    """The first row of each."""
    data: Rows
    """The set that they are in."""

    @property
    def rows(self) -> int:
        """How many rows the set has."""
        return len(self.data)

    def field(self, label: str) -> str:
        """Where in its first row a label stands."""
        return label_field(self.data, self.first[label])

    @property
    def short(self) -> bool:
        """Whether all of them are as short as names of classes are; else they are answers that repeat."""
        return all(len(label) <= _LONGEST_LABEL and "\n" not in label.strip() for label in self.counts)


def label_field(rows: Rows, row: int) -> str:
    """Where in a row its label stands."""
    example = rows[row]
    return f"messages[{len(example.messages) - 1}].content" if isinstance(example, ChatExample) else "completion"


def labels_of(batch: Batch) -> Labels | None:
    """The labels of the set that the batch belongs to; None where its answers are free texts.

    They are judged as the founding tool did: at least three rows to a label. In conversations the last message by the
    assistant counts, and only short ones are labels, because a greeting may well repeat.
    """
    rows = batch.rows
    most = most_labels(len(rows))
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for part in rows.batches():
        answers = answers_of(part)
        if answers is None or max(map(len, answers), default=0) > _LONGEST_ANSWER:
            return None
        counts.update(answers)
        if len(counts) > most:
            return None
        if len(first) < len(counts):
            for row, answer in enumerate(answers, part.start):
                first.setdefault(answer, row)
    if not counts:
        return None
    labels = Labels(counts, first, rows)
    return labels if rows.kind == "completion" or labels.short else None


def answers_of(batch: Batch) -> Sequence[str] | None:
    """The completions, or what the assistant said last; None where that is not plain text everywhere."""
    if batch.kind == "completion":
        return batch.completions
    found: list[str] = []
    for example in batch.examples:
        last = example.messages[-1] if isinstance(example, ChatExample) and example.messages else None
        if last is None or last.role != "assistant" or not isinstance(last.content, str) or "tool_calls" in last.more:
            return None
        found.append(last.content)
    return found
