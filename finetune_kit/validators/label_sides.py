"""Labels that are asked for and were never taught."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_kit._quoting import quoted
from finetune_kit.rows import Rows
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import answers_of, label_field, labels_of

_MOST = 1_000  # labels; a side with more has free answers, whatever the other has


def check_labels(training: Rows, held_out: Rows) -> Iterator[Issue]:
    """A warning `unseen_label` for each label of the held-out side that training has no example of.

    The issue's row is the first with it on the held-out side. Where training has no closed set of labels, nothing.
    """
    taught = next((batch.view(labels_of) for batch in training.batches()), None)
    if taught is None or not taught.short:
        return
    told: set[str] = set()
    for batch in held_out.batches():
        for row, label in enumerate(answers_of(batch) or (), batch.start):
            if label not in taught.counts and label not in told and len(told) < _MOST:
                told.add(label)
                yield _issue(label, row, held_out)


def _issue(label: str, row: int, held_out: Rows) -> Issue:
    return Issue(
        "unseen_label",
        Severity.WARNING,
        f"the label {quoted(label)} is in no training example",
        row=row,
        origin=held_out.origin(row),
        field=label_field(held_out, row),
        hint="The model cannot give it: add examples of it to the training set, or split by label (stratify).",
    )
