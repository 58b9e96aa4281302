"""A tokenizer that a test can count along with."""

from __future__ import annotations

from finetune_kit.tokens import Piece


class Words:
    """Counts words."""

    encoding = None
    name = "words"
    exact = True
    low = high = 1.0

    def count(self, text: str) -> int:
        return len(text.split())

    def split(self, text: str) -> list[Piece]:
        return [Piece(word, 1) for word in text.split()]
