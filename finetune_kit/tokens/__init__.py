"""Text and examples as tokens: exactly where a tokenizer is at hand, otherwise estimated with a stated error."""

from __future__ import annotations

from finetune_kit.tokens.estimate import Estimate
from finetune_kit.tokens.example import TEXTS, ExampleTokens, HostedTokens, Measured
from finetune_kit.tokens.layout import as_conversation, layout
from finetune_kit.tokens.span import Span, Use
from finetune_kit.tokens.vocabulary import EXACT, Piece, Tokenizer, encoding_of, tokenizer

__all__ = [
    "EXACT",
    "TEXTS",
    "Estimate",
    "ExampleTokens",
    "HostedTokens",
    "Measured",
    "Piece",
    "Span",
    "Tokenizer",
    "Use",
    "as_conversation",
    "encoding_of",
    "layout",
    "tokenizer",
]
