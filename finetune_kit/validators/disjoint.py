"""Training and validation must not share examples."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_kit.leaks import Leak, find_leaks
from finetune_kit.rows import Rows
from finetune_kit.validators.issue import Issue, Severity


def check_disjoint(training: Rows, validation: Rows) -> Iterator[Issue]:
    """An error `leak` for each validation example that is trained on, a warning `shared_prompt` for each such prompt.

    The issue's row is the validation set's, the related row the training set's.
    """
    return (_issue(leak, training, validation) for leak in find_leaks(training, validation))


def _issue(leak: Leak, training: Rows, validation: Rows) -> Issue:
    if leak.exact:
        code, severity, message = "leak", Severity.ERROR, "the validation example is also in the training set"
        hint = "Its score would be flattered: drop it from one side, or let `split` choose the sides."
    else:
        code, severity, message = "shared_prompt", Severity.WARNING, "the validation prompt is also in the training set"
        hint = "The model has seen the question with another answer: keep such rows on one side, as `split` does."
    return Issue(
        code,
        severity,
        message,
        row=leak.validation,
        origin=validation.origin(leak.validation),
        hint=hint,
        related=leak.training,
        related_origin=training.origin(leak.training),
    )
