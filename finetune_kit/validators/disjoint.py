"""Training and validation must not share examples."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_kit.leaks import Leak, LeakKind, find_leaks
from finetune_kit.rows import Rows
from finetune_kit.validators.issue import Issue, Severity

_KINDS = {
    LeakKind.EXACT: (
        "leak",
        "the validation example is also in the training set",
        "Its score would be flattered: drop it from one side, or let `split` choose the sides.",
    ),
    LeakKind.PROMPT: (
        "shared_prompt",
        "the validation prompt is also in the training set",
        "The model has seen the question with another answer: keep such rows on one side, as `split` does.",
    ),
    LeakKind.TEMPLATE: (
        "template_leak",
        "the validation prompt is also in the training set, but for the text around it",
        "The model has seen the question: drop it from one side, and write separators and instructions alike on both.",
    ),
    LeakKind.NEAR: (
        "near_leak",
        "nearly the same prompt as the validation example's is in the training set",
        "Its score may be flattered: drop it from one side, or let `split` choose the sides with near=True.",
    ),
}
LEAK_CODES = {kind: code for kind, (code, _, _) in _KINDS.items()}


def check_disjoint(training: Rows, validation: Rows, *, near: bool | None = None) -> Iterator[Issue]:
    """An error `leak` for each validation example that is trained on, a warning for each whose question is known.

    `shared_prompt`: the prompt is in the training set; `template_leak`: it is, but for a separator or an instruction
    around it; `near_leak`: nearly the same prompt is there, which is looked for with `near=True`, and by default where
    both sides together have up to 20,000 rows and 16 MB. The issue's row is the validation set's, the related row the
    training set's.
    """
    return (_issue(leak, training, validation) for leak in find_leaks(training, validation, near=near))


def _issue(leak: Leak, training: Rows, validation: Rows) -> Issue:
    code, message, hint = _KINDS[leak.kind]
    return Issue(
        code,
        Severity.ERROR if leak.kind is LeakKind.EXACT else Severity.WARNING,
        message,
        row=leak.validation,
        origin=validation.origin(leak.validation),
        hint=hint,
        related=leak.training,
        related_origin=training.origin(leak.training),
    )
