"""Rows that stand in the set more than once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.repeats import repeated_rows
from finetune_kit.rows import Rows


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows whose content is that of an earlier row are dropped; the first of them stays."""

    code = "duplicate"
    safe = True
    description = "drop the row"

    def plan(self, rows: Rows) -> Iterator[tuple[int, None]]:
        """Each of the later ones."""
        return ((row, None) for row, _ in repeated_rows(rows))
