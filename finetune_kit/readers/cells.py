"""Rows of cells to examples, for tables of every kind: what the header makes of each cell."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from finetune_kit.readers.columns import Fields, choose_fields, joined
from finetune_kit.readers.intake import Pairs
from finetune_kit.readers.preferences import is_preference
from finetune_kit.readers.shapes import Shape
from finetune_kit.records import CompletionExample, Example, JsonValue


class Cells(ABC):
    """What becomes of the cells under a header."""

    @abstractmethod
    def example(self, cells: Sequence[str]) -> Example:
        """The example that a row with a cell for each column is; `RowError` where it is none."""

    @abstractmethod
    def together(self, rows: Sequence[Sequence[str]]) -> Pairs | None:
        """Many such rows at once, where that is possible."""

    @abstractmethod
    def columns(self) -> dict[str, str]:
        """Which column became which field."""

    @abstractmethod
    def notes(self) -> tuple[str, ...]:
        """What was guessed."""


def cells_under(header: Sequence[str], *, prompt: str | None, completion: str | None, where: str) -> Cells:
    """What a table with this header holds: completions, or preference pairs where no columns are named.

    Raises `ColumnError`, which begins with `where`, if the columns cannot be told.
    """
    if prompt is None and completion is None and is_preference(dict.fromkeys(header, "")):
        return _Preferences(header)
    return _Completions(header, choose_fields(header, prompt=prompt, completion=completion, where=where))


class _Completions(Cells):
    def __init__(self, header: Sequence[str], fields: Fields) -> None:
        self._fields = fields
        self._prompt, self._completion, self._context = fields.places(header)
        taken = (self._prompt, self._completion, self._context)
        self._others = [(number, name) for number, name in enumerate(header) if number not in taken]

    def example(self, cells: Sequence[str]) -> Example:
        prompt = cells[self._prompt]
        if self._context is not None:
            prompt = joined(prompt, cells[self._context])
        return CompletionExample(
            prompt, cells[self._completion], {name: cells[number] for number, name in self._others}
        )

    def together(self, rows: Sequence[Sequence[str]]) -> Pairs:
        prompts = [cells[self._prompt] for cells in rows]
        if self._context is not None:
            contexts = [cells[self._context] for cells in rows]
            prompts = [joined(prompt, context) for prompt, context in zip(prompts, contexts, strict=True)]
        metadata: list[dict[str, JsonValue]] | None = None
        if self._others:
            metadata = [{name: cells[number] for number, name in self._others} for cells in rows]
        return Pairs(prompts, [cells[self._completion] for cells in rows], metadata)

    def columns(self) -> dict[str, str]:
        return self._fields.as_mapping()

    def notes(self) -> tuple[str, ...]:
        return self._fields.notes


class _Preferences(Cells):
    def __init__(self, header: Sequence[str]) -> None:
        self._header = header
        self._shape = Shape(prompt=None, completion=None)

    def example(self, cells: Sequence[str]) -> Example:
        return self._shape.example(dict(zip(self._header, cells, strict=False)))

    def together(self, rows: Sequence[Sequence[str]]) -> None:
        del rows

    def columns(self) -> dict[str, str]:
        return self._shape.columns("preference")

    def notes(self) -> tuple[str, ...]:
        return self._shape.notes("preference")
