"""One question with two answers."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit.records import CompletionExample
from finetune_kit.repeats import repeated
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity

_HASH_MASK = (1 << 64) - 1


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
    """Holds 24 bytes for each row that has a prompt.

    The built-in hash serves, the fastest there is, because nothing here outlives the process.
    """

    code: str
    _rows: array[int] = field(default_factory=lambda: array("Q"))
    _prompts: array[int] = field(default_factory=lambda: array("Q"))
    _completions: array[int] = field(default_factory=lambda: array("Q"))

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        for row, example in enumerate(batch.examples, batch.start):
            if isinstance(example, CompletionExample) and (prompt := example.prompt.strip()):
                self._rows.append(row)
                self._prompts.append(hash(prompt) & _HASH_MASK)
                self._completions.append(hash(example.completion.strip()) & _HASH_MASK)
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example that answers otherwise than the first with its prompt."""
        candidates = repeated(self._prompts)
        if not candidates:
            return
        first: dict[int, tuple[int, int]] = {}
        for row, prompt, completion in zip(self._rows, self._prompts, self._completions, strict=True):
            if prompt in candidates:
                earlier, answer = first.setdefault(prompt, (row, completion))
                if answer != completion:
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
