"""Whether the answers of a data set are labels, found out along the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from finetune_kit.labels import most_labels

_MOST_LABELS = most_labels(1 << 62)


@dataclass(slots=True)
class ClosedSet:
    """Remembers different answers until there are too many to be labels."""

    _rows: int = 0
    _answers: set[str] = field(default_factory=set[str])
    _open: bool = False

    def see(self, answers: Iterable[str], rows: int) -> None:
        """Take up the answers of so many rows."""
        self._rows += rows
        if not self._open:
            self._answers.update(answers)
            if len(self._answers) > _MOST_LABELS:
                self._open = True
                self._answers.clear()

    @property
    def is_closed(self) -> bool:
        """Whether what was seen looks like classification."""
        return not self._open and 1 < len(self._answers) <= most_labels(self._rows)
