"""How probable each token of an answer is, from how probable the model finds whole answers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

END = "<|end|>"
_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class ScoredToken:
    """A token, and what might have stood there instead, the most probable first."""

    token: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]


def tokens_of(text: str) -> list[str]:
    """A text cut into words and signs, each with the space before it."""
    return _TOKEN.findall(text)


def score(text: str, answers: Mapping[str, float], *, top: int) -> list[ScoredToken]:
    """The tokens of `text`; `answers` are all that the model might have said, each with its probability.

    Where the model knows no closed set of answers, it is sure of every token.
    """
    known = [(tokens_of(answer), probability) for answer, probability in answers.items()]
    tokens = tokens_of(text)
    return [_scored(tokens, place, known, top) for place in range(len(tokens))]


def _scored(tokens: list[str], place: int, known: list[tuple[list[str], float]], top: int) -> ScoredToken:
    shares: dict[str, float] = {}
    for others, probability in known:
        if others[:place] == tokens[:place]:
            following = others[place] if place < len(others) else END
            shares[following] = shares.get(following, 0.0) + probability
    if tokens[place] not in shares:
        shares = {tokens[place]: 1.0}
    whole = sum(shares.values()) or 1.0
    ranked = sorted(shares.items(), key=lambda one: -one[1])
    logged = {token: math.log(max(share / whole, _LEAST)) for token, share in ranked}
    return ScoredToken(tokens[place], logged[tokens[place]], tuple(logged.items())[:top])
