"""Examples with more tokens than a host takes of one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date

from finetune_kit.counts import rendered
from finetune_kit.hosts import FileRules, HostProfile, ModelFacts
from finetune_kit.rows import Batch
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import ExampleTokens, HostedTokens
from finetune_kit.validators.issue import Issue, Severity

_MARGIN = 320
"""More tokens than a template adds to a prompt and its completion, or a local model's system message to a chat."""


@dataclass(frozen=True, slots=True)
class TokenLimit:
    """An example can be too long for the model, however few examples there are: the limit is for each line alone.

    Nothing is counted of an example that has no more bytes than the limit has tokens. Without the extra `tokens` a
    longer one is estimated, and may be reported although it would just fit: then as a warning.

    Bad:  one line with the whole of a 300-page manual in its prompt
    Good: a line for each question about the manual, with the page that answers it
    """

    limit: int
    """Tokens of one example."""
    whose: str
    """The model or host that has this limit, for the message."""
    tokens: Callable[[], ExampleTokens] = field(compare=False)
    """What counts them; called when an example comes near the limit, since loading it takes a while."""
    beyond: str = ""
    """What the host does with an example that is longer, to be read after "the host"."""
    as_of: date | None = None
    """When the limit was looked up, since limits age."""
    template: PromptTemplate | None = None
    """What will be put around prompts and completions."""

    code = "token_limit"

    @classmethod
    def of(cls, host: FileRules, model: str | None = None) -> TokenLimit | None:
        """The rule for a model on a host, by default its most patient one; None where no limit is known."""
        found = limiting_facts(host, model, lambda facts: facts.training_context_tokens)
        if found is None or found.facts.training_context_tokens is None:
            return None
        facts, beyond = found.facts, found.profile.beyond_context
        return cls(found.facts.training_context_tokens, found.whose, found.tokens, beyond, facts.as_of)

    def check(self, batch: Batch) -> Iterable[Issue]:
        """An error for each example that is too long, a warning where that is not certain."""
        near = batch.longer_than(self.limit - _MARGIN)
        return [issue for row in near for issue in self._judged(batch, row)] if near else ()

    def _judged(self, batch: Batch, row: int) -> Iterable[Issue]:
        if len(batch.rows.content_line(row)) <= self.limit - _MARGIN:  # now without its metadata
            return
        tokens = self.tokens()
        counted = tokens.measure(rendered(batch.example(row), self.template)).total
        if counted * tokens.high > self.limit:
            yield self._issue(row, certain=tokens.exact)

    def _issue(self, row: int, *, certain: bool) -> Issue:
        fate = f" The host {self.beyond}." if self.beyond else ""
        dated = f" The limit was looked up on {self.as_of}." if self.as_of else ""
        doubt = "" if certain else " Install finetune_kit[tokens] to be sure: without it, tokens are estimated."
        return Issue(
            self.code,
            Severity.ERROR if certain else Severity.WARNING,
            f"the example {'is' if certain else 'may be'} longer than {self.limit:,} tokens, "
            f"the limit of {self.whose} for each single line",
            row=row,
            hint="Shorten it, or make several examples of it; how many lines there are does not matter."
            f"{fate}{dated}{doubt}",
        )


@dataclass(frozen=True, slots=True)
class LimitingFacts:
    """The model whose limit is asked for, and what counts its tokens."""

    profile: HostProfile
    facts: ModelFacts
    whose: str

    def tokens(self) -> ExampleTokens:
        """By its vocabulary."""
        return HostedTokens.of(self.facts.tokenizer, self.facts.kinds)


def limiting_facts(
    host: FileRules, model: str | None, limit: Callable[[ModelFacts], int | None]
) -> LimitingFacts | None:
    """The facts of `model` on `host`; without a model, of the one with the highest limit among those not closed."""
    if not isinstance(host, HostProfile):
        return None
    if model is not None:
        name = model if model in host.models else host.aliases.get(model, model)
        facts = host.models.get(name)
        return None if facts is None else LimitingFacts(host, facts, f"{name} on {host.name}")
    known = [facts for facts in _open(host.models.values(), host.as_of) if limit(facts) is not None]
    if not known:
        return None
    most = max(known, key=lambda facts: limit(facts) or 0)
    return LimitingFacts(host, most, f"every model on {host.name}")


def _open(models: Collection[ModelFacts], on: date) -> list[ModelFacts]:
    return [facts for facts in models if facts.state(on) != "closed"]
