"""What a rule is: anything with a code that looks at batches of examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias, runtime_checkable

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue


@runtime_checkable
class Validator(Protocol):
    """A rule that judges each example alone; best a frozen dataclass whose fields are its parameters.

    `check` keeps no state and names rows by their index in the data set: `batch.start` plus the place in the batch.
    """

    @property
    def code(self) -> str:
        """The rule's name in a report."""
        ...

    def check(self, batch: Batch) -> Iterable[Issue]:
        """The findings in these examples."""
        ...


class SetCheck(Protocol):
    """One run of a whole-set rule over one data set."""

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Take up the next examples; findings that are already certain."""
        ...

    def finish(self) -> Iterable[Issue]:
        """The findings that need all examples to have been seen."""
        ...


@runtime_checkable
class SetValidator(Protocol):
    """A rule about the data set as a whole: how many examples, which repeat one another."""

    @property
    def code(self) -> str:
        """The rule's name in a report."""
        ...

    def start(self) -> SetCheck:
        """Begin a run; what it remembers is its own."""
        ...


AnyValidator: TypeAlias = Validator | SetValidator
