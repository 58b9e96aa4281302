"""Answers that the model cannot give at their full length."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from finetune_kit.hosts import FileRules
from finetune_kit.rows import Batch
from finetune_kit.tokens import ExampleTokens
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.token_limit import limiting_facts


@dataclass(frozen=True, slots=True)
class LongAnswer:
    """A model writes only so many tokens at a time: what it learns of a longer answer it can never finish.

    Bad:  a completion of 40,000 tokens for a model that writes 16,384
    Good: the same text as several examples, each going on from where the one before ended
    """

    limit: int
    """Tokens of one answer."""
    whose: str
    """The model or host that has this limit, for the message."""
    tokens: Callable[[], ExampleTokens] = field(compare=False)
    """As in `TokenLimit`."""

    code = "long_answer"

    @classmethod
    def of(cls, host: FileRules, model: str | None = None) -> LongAnswer | None:
        """The rule for a model on a host, by default its most talkative one; None where no limit is known."""
        found = limiting_facts(host, model, lambda facts: facts.max_output_tokens)
        if found is None or found.facts.max_output_tokens is None:
            return None
        return cls(found.facts.max_output_tokens, found.whose, found.tokens)

    def check(self, batch: Batch) -> Iterable[Issue]:
        """A warning for each example with an answer that is too long."""
        near = batch.longer_than(self.limit)
        return [self._issue(row) for row in near if self._is_long(batch, row)] if near else ()

    def _is_long(self, batch: Batch, row: int) -> bool:
        tokens = self.tokens()
        return tokens.measure(batch.example(row)).longest_answer * tokens.high > self.limit

    def _issue(self, row: int) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            f"an answer is longer than the {self.limit:,} tokens that {self.whose} can write at a time",
            row=row,
            hint="Make several examples of it, or leave it out: the model never gets to its end.",
        )
