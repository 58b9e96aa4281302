"""One question with two answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.records import CompletionExample
from finetune_kit.repeats import same_keys
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class Contradictions:
    """The same prompt with another completion: the model cannot learn both.

    Bad:  `{"prompt": "Shop hours?", "completion": "9 to 5"}` and `{"prompt": "Shop hours?", "completion": "10 to 6"}`
    Good: `{"prompt": "Shop hours?", "completion": "9 to 5"}` and `{"prompt": "Sunday hours?", "completion": "10 to 6"}`
    """

    code = "contradiction"

    def start(self) -> ContradictionsCheck:
        """Begin a run."""
        return ContradictionsCheck(self.code)


@dataclass(slots=True)
class ContradictionsCheck:
    """Reads again only the rows that ask the same."""

    code: str
    _last: Batch | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        self._last = batch
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example that answers otherwise than the first with its prompt."""
        if self._last is None or self._last.kind != "completion":
            return
        rows = self._last.rows
        first: dict[int, tuple[int, int]] = {}  # hashes: many long texts would fill the memory
        for row in same_keys(self._last.rows):
            example = rows[row]
            if isinstance(example, CompletionExample) and (prompt := example.prompt.strip()):
                answer = hash(example.completion.strip())
                earlier, known = first.setdefault(hash(prompt), (row, answer))
                if answer != known:
                    yield self._issue(row, earlier)

    def _issue(self, row: int, earlier: int) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            "the prompt has another completion in an earlier example",
            row=row,
            field="completion",
            related=earlier,
            hint="Keep the right one, or say in the prompts what makes them differ.",
        )
