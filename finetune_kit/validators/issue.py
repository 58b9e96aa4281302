"""One finding about the data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from finetune_kit.rows import Origin
from finetune_kit.validators.excerpt import Excerpt


class Severity(StrEnum):
    """How much a finding matters; the members stand in the order of a report."""

    ERROR = "error"
    """Training on it is refused."""
    WARNING = "warning"
    """Training works, and the model is likely to be worse for it."""
    INFO = "info"
    """Worth knowing, nothing to mend."""


@dataclass(frozen=True, slots=True)
class Issue:
    """What is wrong, where, and what to do about it."""

    code: str
    """The rule's name: stable, the same for every finding of one rule."""
    severity: Severity
    message: str
    """What is wrong, without the place and without a full stop; equal faults have equal messages."""
    row: int | None = None
    """Index in the data set; None where the set as a whole is meant."""
    origin: Origin | None = None
    """The row's file and line; `validate` fills it in from `row`."""
    field: str | None = None
    """The part of the example, such as `completion` or `messages[2].role`."""
    hint: str = ""
    """What to do, as a sentence."""
    fix: str | None = None
    """What `clean` would do about it, where it can."""
    related: int | None = None
    """Index of the other example that a finding is about, such as the first of two equal ones."""
    related_origin: Origin | None = None
    """Its file and line; filled in like `origin`."""
    span: tuple[int, int] | None = None
    """Where in the field's text the fault is, as start and end counted in characters, to be marked when it is shown.

    The text is the string at `field` in the object that hosts take; for a message's `content` it is `Message.text`.
    """
    sensitive: bool = False
    """Whether what stands at `span` is secret or personal: it is masked wherever the example is shown.

    Without a span the whole field is masked.
    """
    excerpt: Excerpt | None = None
    """The row as it is shown; `validate` fills it in for the first rows of each message."""
    related_excerpt: Excerpt | None = None
    """The related row as it is shown."""
