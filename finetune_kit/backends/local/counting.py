"""Examples in the tokens of a model on this machine, laid out as its training lays them out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from finetune_kit._extras import require
from finetune_kit.backends.local.bases import named
from finetune_kit.backends.local.encoding import Encoder
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import EMBEDDED
from finetune_kit.backends.local.packing import Encoded
from finetune_kit.backends.local.weights import check_gguf, gguf_folder, is_gguf, ready
from finetune_kit.errors import EngineError, WeightsError
from finetune_kit.records import Example
from finetune_kit.tokens import Measured, Span, Use, layout

_LEARNED = 1.0
_DEFAULT_SYSTEM_TOKENS = 256
"""More than a chat template puts in front of a conversation that has no system message."""


@dataclass(frozen=True, slots=True)
class LocalTokens:
    """Counts by the model's own tokenizer and chat template."""

    encoder: Encoder
    name: str
    exact: bool = True
    low: float = 1.0
    high: float = 1.0
    extra_tokens: int = _DEFAULT_SYSTEM_TOKENS

    def measure(self, example: Example) -> Measured:
        """The tokens of one example; of one that the engine cannot train on, those of its texts."""
        encoded = self._encoded(example)
        if encoded is None:
            return self._plainly(example)
        learned = (weight == _LEARNED for weight in encoded.weights)
        answers = [len(list(run)) for is_answer, run in groupby(learned) if is_answer]
        return Measured(len(encoded.tokens), sum(answers), max(answers, default=0))

    def spans(self, example: Example) -> Iterator[Span]:
        """The example token by token, with the markers of the chat template."""
        encoded = self._encoded(example)
        if encoded is None:
            return layout(example)
        return self._token_spans(encoded)

    def _encoded(self, example: Example) -> Encoded | None:
        try:
            return self.encoder.row(example.content())
        except (EngineError, KeyError, TypeError, AttributeError, ValueError):  # data of any shape; rules report it
            return None

    def _plainly(self, example: Example) -> Measured:
        total = trained = longest = uncounted = 0
        for span in layout(example):
            tokens = len(self.encoder.text(span.text)) + max(0, span.extra_tokens)
            total, uncounted = total + tokens, uncounted + span.uncounted
            if span.use == "trained":
                trained, longest = trained + tokens, max(longest, tokens)
        return Measured(total, trained, longest, uncounted)

    def _token_spans(self, encoded: Encoded) -> Iterator[Span]:
        special = set[int](self.encoder.tokenizer.all_special_ids)
        begun: list[int] = []
        for token, weight in zip(encoded.tokens, encoded.weights, strict=True):
            use: Use = "trained" if weight == _LEARNED else "special" if token in special else "context"
            begun.append(token)
            text = self._decoded(begun)
            if text.endswith("\ufffd") and len(begun) < 4:  # the rest of the character is in the next token
                continue
            yield Span(text, use, tokens=len(begun))
            begun = []
        if begun:
            yield Span(self._decoded(begun), "trained", tokens=len(begun))

    def _decoded(self, tokens: Sequence[int]) -> str:
        text: str = self.encoder.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


def local_tokens(home: Home, base: str) -> LocalTokens:
    """The tokens of a base model that is on this machine already; nothing is fetched or converted for it."""
    transformers = require("transformers", extra="local", purpose="Counting in the tokens of a model on this machine")
    where, revision = (base, None) if is_gguf(base) else named(base)
    if is_gguf(base):
        check_gguf(base)
        folder = gguf_folder(home, base)
        if folder is None:
            raise WeightsError(f"the base model {base} is not converted yet; the first training does that.")
        where = str(folder)
    if base in EMBEDDED:
        if not ready(home, EMBEDDED[base]):
            raise WeightsError(f"the base model {base} is not on this machine yet; the first training fetches it.")
        where = str(home.base(EMBEDDED[base].name))
    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(
            where, revision=revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"the tokenizer of {base!r} cannot be read: {str(error).partition(chr(10))[0]}") from error
    return LocalTokens(Encoder(tokenizer, sys.maxsize), f"{base}'s own")
