"""What counts the tokens of whole examples."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

from finetune_kit.records import CompletionExample, Example, Kind
from finetune_kit.tokens.estimate import Estimate
from finetune_kit.tokens.layout import MESSAGE_TOKENS, as_conversation, layout
from finetune_kit.tokens.span import Span
from finetune_kit.tokens.vocabulary import Tokenizer, tokenizer

_TOOL_TOKENS = {"cl100k_base": 10}
_OTHER_TOOL_TOKENS = 7


class Measured(NamedTuple):
    """The tokens of one example."""

    total: int
    """What is billed, and what the limit is for."""
    trained: int
    """Those that the model learns to write."""
    longest_answer: int
    """Of its answers, the longest."""
    uncounted: int = 0
    """Parts whose tokens nobody publishes, such as images."""


class ExampleTokens(Protocol):
    """Counts examples as one model on one host sees them; completions come with their template applied."""

    @property
    def name(self) -> str:
        """The tokenizer's, for people."""
        ...

    @property
    def exact(self) -> bool:
        """As in `Tokenizer`."""
        ...

    @property
    def low(self) -> float:
        """As in `Tokenizer`."""
        ...

    @property
    def high(self) -> float:
        """As in `Tokenizer`."""
        ...

    @property
    def extra_tokens(self) -> int:
        """So many tokens more than the bytes of its JSON line an example can have at most."""
        ...

    def measure(self, example: Example) -> Measured:
        """The tokens of one example; it never raises on data."""
        ...

    def spans(self, example: Example) -> Iterator[Span]:
        """The example as the model sees it, each token a span of its own where tokens are known."""
        ...


@dataclass(frozen=True, slots=True)
class HostedTokens:
    """Examples as hosts with OpenAI's formats lay them out."""

    tokenizer: Tokenizer
    chat_only: bool = False
    """Whether the model takes conversations alone, so that a prompt and its completion become one."""

    @classmethod
    def of(cls, encoding: str | None, kinds: Collection[Kind]) -> HostedTokens:
        """For a model by its vocabulary and by what it learns from; nothing where that is not known."""
        return cls(tokenizer(encoding), chat_only=bool(kinds) and "completion" not in kinds)

    @property
    def name(self) -> str:
        """The tokenizer's."""
        return self.tokenizer.name

    @property
    def exact(self) -> bool:
        """The tokenizer's."""
        return self.tokenizer.exact

    @property
    def low(self) -> float:
        """The tokenizer's."""
        return self.tokenizer.low

    @property
    def high(self) -> float:
        """The tokenizer's."""
        return self.tokenizer.high

    @property
    def extra_tokens(self) -> int:
        """The JSON around every text is longer than what the host puts around it."""
        return 0

    def measure(self, example: Example) -> Measured:
        """The tokens of one example, without its text being copied."""
        count = self.tokenizer.count
        if isinstance(example, CompletionExample):  # as `_layout` has it, several times as fast
            asked, answered = count(example.prompt), count(example.completion)
            return Measured(asked + answered + self._around_pair, answered, answered)
        total = trained = uncounted = answer = longest = 0
        message = ""
        for span in self._layout(example):
            tokens = (count(span.text) if span.text else 0) + span.extra_tokens
            total += tokens
            uncounted += span.uncounted
            if span.use == "trained":
                trained += tokens
                whose = span.where.partition(".")[0]
                answer = answer + tokens if whose == message else tokens
                message, longest = whose, max(longest, answer)
        return Measured(total, trained, longest, uncounted)

    def spans(self, example: Example) -> Iterator[Span]:
        """The stretches of the layout, token by token where those are known."""
        for span in self._layout(example):
            pieces = self.tokenizer.split(span.text) if span.text else None
            if pieces is None:
                yield span
                continue
            if span.extra_tokens or span.uncounted:
                yield replace(span, text="")
            for piece in pieces:
                yield Span(piece.text, span.use, span.where, tokens=piece.tokens)

    @property
    def _around_pair(self) -> int:
        """What a conversation adds to a prompt and its completion: two messages, and what primes the answer."""
        if not self.chat_only:
            return 0
        roles = self.tokenizer.count("user") + self.tokenizer.count("assistant")
        return roles + 3 * MESSAGE_TOKENS

    def _layout(self, example: Example) -> Iterator[Span]:
        if self.chat_only and isinstance(example, CompletionExample):
            example = as_conversation(example)
        around = _TOOL_TOKENS.get(self.tokenizer.encoding or "", _OTHER_TOOL_TOKENS)
        return layout(example, tool_tokens=around)


TEXTS = HostedTokens(Estimate(None))
"""For any model: spans are whole texts, counts are estimates."""
