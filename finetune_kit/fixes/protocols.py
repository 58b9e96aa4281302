"""What a fix is: one of three forms, each with the code of the rule that it answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeAlias, runtime_checkable

from finetune_kit.records import Example
from finetune_kit.rows import Rows


class _Described(Protocol):
    @property
    def code(self) -> str:
        """The code of the rule whose findings it mends."""
        ...

    @property
    def safe(self) -> bool:
        """Whether nobody can have meant what it mends, so that `clean` applies it unasked."""
        ...

    @property
    def description(self) -> str:
        """What it does, such as "drop the row"."""
        ...


@runtime_checkable
class RowFix(_Described, Protocol):
    """Mends one example, whatever the others are; best a frozen dataclass whose fields are its parameters."""

    def mend(self, example: Example) -> Example | None:
        """The example as it should be, the same object where it is so already, or None to drop it."""
        ...


@runtime_checkable
class DropFix(_Described, Protocol):
    """Drops examples, whatever the others are; runs after all that mend."""

    def drops(self, example: Example) -> bool:
        """Whether this one goes."""
        ...


@runtime_checkable
class SetFix(_Described, Protocol):
    """Mends what shows only in the set as a whole; runs last."""

    def plan(self, rows: Rows) -> Iterable[tuple[int, Example | None]]:
        """The rows to replace, by their numbers in rising order, each with its new example or None to drop it."""
        ...


AnyFix: TypeAlias = RowFix | DropFix | SetFix
