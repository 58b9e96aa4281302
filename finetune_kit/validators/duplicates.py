"""Examples that stand in the set more than once."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit.repeats import repeated
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class Duplicates:
    """An example that repeats another one weighs double in training, mostly by mistake.

    Bad:  two rows `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`
    Good: the same prompt in other words
    """

    code = "duplicate"

    def start(self) -> DuplicatesCheck:
        """Begin a run."""
        return DuplicatesCheck(self.code)


@dataclass(slots=True)
class DuplicatesCheck:
    """Holds 16 bytes a row, the content's whole digest: equal digests are equal contents."""

    code: str
    _digests: bytearray = field(default_factory=bytearray)

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        self._digests += b"".join(batch.digests)
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example but the first of its equals."""
        heads = array("Q", bytes(self._digests))[::2]
        candidates = repeated(heads)
        if not candidates:
            return
        first: dict[bytes, int] = {}
        for row, head in enumerate(heads):
            if head in candidates:
                earlier = first.setdefault(bytes(self._digests[16 * row : 16 * row + 16]), row)
                if earlier != row:
                    yield self._issue(row, earlier)

    def _issue(self, row: int, earlier: int) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            "the example repeats an earlier one",
            row=row,
            related=earlier,
            hint="Drop the later ones, unless they are meant to weigh more.",
            fix="drop the row",
        )
