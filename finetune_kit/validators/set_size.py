"""How many examples there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class MinimumExamples:
    """Hosts refuse fewer than 10 examples, and a model learns little from fewer than 150.

    Bad:  7 rows
    Good: several hundred rows
    """

    minimum: int = 10
    advised: int = 150

    code = "minimum_examples"

    def start(self) -> MinimumExamplesCheck:
        """Begin a run."""
        return MinimumExamplesCheck(self)


@dataclass(slots=True)
class MinimumExamplesCheck:
    """Counts."""

    rule: MinimumExamples
    _seen: int = 0

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is certain before the end."""
        self._seen += len(batch)
        return ()

    def finish(self) -> Iterable[Issue]:
        """An error under the minimum, a warning under what is advised."""
        if self._seen < self.rule.minimum:
            message = (
                f"at least {self.rule.minimum:,} examples are needed for training, and there are only {self._seen:,}"
            )
            return [
                Issue(self.rule.code, Severity.ERROR, message, hint="Add examples, or mend rows that were refused.")
            ]
        if self._seen < self.rule.advised:
            message = f"there are only {self._seen:,} examples"
            # The founding document's figures.
            hint = "150 to 200 at least are advised, several hundred to a thousand to start with."
            return [Issue(self.rule.code, Severity.WARNING, message, hint=hint)]
        return []
