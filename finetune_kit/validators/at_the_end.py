"""The run of a rule that asks its question once, when all examples are known to be there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue


@dataclass(slots=True)
class AtTheEnd:
    """Costs nothing on the way; what several rules want to know of the whole set is a `view` of its last batch."""

    question: Callable[[Batch], Iterable[Issue]]
    _last: Batch | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is judged before the end."""
        self._last = batch
        return ()

    def finish(self) -> Iterable[Issue]:
        """The findings; none where there are no examples."""
        return () if self._last is None else self.question(self._last)
