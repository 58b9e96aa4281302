"""What a validation set shares with its training set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from finetune_kit.records import CompletionExample, Example
from finetune_kit.rows import Rows

_INSTRUCTIONS = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True)
class Leak:
    """A validation example that the model also meets in training; both are indices into their own data set."""

    training: int
    validation: int
    exact: bool
    """True for an equal example, False where only the prompt is the same."""


def prompt_key(example: Example) -> bytes | None:
    """A hash of what the model is asked, blind to letter case and amounts of white space; None if nothing is asked.

    For a conversation that is every message but the last. It is the same in every process and on every machine.
    """
    if isinstance(example, CompletionExample):
        asked = _folded(example.prompt)
    else:
        before = example.messages[:-1]
        if all(message.role in _INSTRUCTIONS for message in before):
            return None
        turns = [(message.role, _folded(message.content or ""), dict(message.more)) for message in before]
        asked = json.dumps(turns, sort_keys=True)
    return blake2b(asked.encode("utf-8", "surrogatepass"), digest_size=16).digest() if asked else None


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def find_leaks(training: Rows, validation: Rows) -> Iterator[Leak]:
    """The leaked validation examples in their order, each once, with the first training example that it repeats."""
    digests: set[bytes] = set()
    prompts: set[bytes] = set()
    for batch in validation.batches():
        digests.update(batch.digests)
        prompts.update(key for example in batch.examples if (key := prompt_key(example)) is not None)
    equal: dict[bytes, int] = {}
    asked: dict[bytes, int] = {}
    for batch in training.batches():
        for row, (example, digest) in enumerate(zip(batch.examples, batch.digests, strict=True), batch.start):
            if digest in digests:
                equal.setdefault(digest, row)
            if (key := prompt_key(example)) in prompts:
                asked.setdefault(key, row)
    if equal or asked:
        yield from _matches(validation, equal, asked)


def _matches(validation: Rows, equal: dict[bytes, int], asked: dict[bytes, int]) -> Iterator[Leak]:
    for batch in validation.batches():
        for row, (example, digest) in enumerate(zip(batch.examples, batch.digests, strict=True), batch.start):
            if digest in equal:
                yield Leak(training=equal[digest], validation=row, exact=True)
            elif (key := prompt_key(example)) is not None and key in asked:
                yield Leak(training=asked[key], validation=row, exact=False)


@dataclass(frozen=True, slots=True)
class LeakReport:
    """How much of a validation set the model has met in training; it belongs beside every score."""

    exact: int
    """Validation examples that are also training examples."""
    shared_prompts: int
    """Validation examples of which only the prompt is in the training set."""
    validation_rows: int

    @property
    def ok(self) -> bool:
        """Whether nothing is shared."""
        return not self.exact and not self.shared_prompts

    def summary(self) -> str:
        """One sentence."""
        if self.ok:
            return "Training and validation share no example and no prompt."
        return (
            f"Of {self.validation_rows:,} validation examples, {self.exact:,} are also training examples, "
            f"and {self.shared_prompts:,} more have the prompt of one."
        )


def leak_report(training: Rows, validation: Rows) -> LeakReport:
    """Count what the two sides share."""
    leaks = Counter(leak.exact for leak in find_leaks(training, validation))
    return LeakReport(exact=leaks[True], shared_prompts=leaks[False], validation_rows=len(validation))
