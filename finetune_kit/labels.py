"""Whether completions are labels of a closed set."""

from __future__ import annotations

from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows

# What looks like classification, as the founding tool judged it; more labels than this are texts that happen to repeat.
_ROWS_PER_LABEL = 3
_MOST_LABELS = 1_000


def most_labels(rows: int) -> int:
    """So many different completions at most are labels among `rows` examples; with more they are free text."""
    return min(_MOST_LABELS, rows // _ROWS_PER_LABEL)


def closed_labels(rows: Rows) -> tuple[str, ...]:
    """The completions, sorted, if there are at least two and they look like labels; else nothing."""
    most = most_labels(len(rows))
    labels: set[str] = set()
    for example in rows:
        if not isinstance(example, CompletionExample):
            return ()
        labels.add(example.completion)
        if len(labels) > most:
            return ()
    return tuple(sorted(labels)) if len(labels) > 1 else ()
