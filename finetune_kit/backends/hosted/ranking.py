"""How probable each of a closed set of texts is, from what a host tells of the tokens it chose from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from finetune_kit.backends.hosted.asking import JsonObject
from finetune_kit.backends.hosted.objects.values import Members, first, items, members, number
from finetune_kit.records import JsonValue

MOST_TOKENS = 48
_NEVER = 1e-6
"""Of a text that no token led to: less than anything that a host lists."""


@dataclass(frozen=True, slots=True)
class Step:
    """One token that the model wrote, and the tokens it might have written there, with their probabilities."""

    chosen: str
    options: dict[str, float]


def steps_of(answer: JsonObject) -> list[Step]:
    """The tokens of an answer; none where the host tells no log-probabilities."""
    told = members(members(first(answer.get("choices"))).get("logprobs"))
    return [_chat_step(members(one)) for one in items(told.get("content"))] or _completion_steps(told)


def text_of(answer: JsonObject) -> str:
    """What the model wrote."""
    choice = members(first(answer.get("choices")))
    written = choice.get("text", members(choice.get("message")).get("content"))
    return written if isinstance(written, str) else ""


def ranked(texts: Sequence[str], answer: JsonObject) -> list[float]:
    """The probability of each text among `texts`; they sum to 1.

    The model has written one answer, token by token, and the host tells the most probable tokens at each place. A text
    gets the probability of the token at which it leaves what was written; where one token leads to several texts, they
    share it. So the result is exact where the first token that differs is among those told, as it is for labels that
    begin differently; a text that no token told leads to counts as one in a million. Without log-probabilities the text
    that was written has all of it, and if it is none of them, each has the same.
    """
    steps = steps_of(answer)
    weights = _walked(texts, steps) if steps else _written(texts, text_of(answer))
    if not sum(weights) > 0:
        weights = [1.0] * len(texts)
    weights = [max(weight, _NEVER * max(weights)) for weight in weights] if steps else weights
    return [weight / sum(weights) for weight in weights]


def _walked(texts: Sequence[str], steps: Sequence[Step]) -> list[float]:
    weights = [0.0] * len(texts)
    before, reached, alive = "", 1.0, list(range(len(texts)))
    for step in steps:
        for option, probability in step.options.items():
            if option != step.chosen:
                _share(weights, _led_to(texts, alive, before + option), reached * probability)
        reached *= step.options.get(step.chosen, 1.0)
        before += step.chosen
        alive = _led_to(texts, alive, before)
        if len(alive) < 2:
            break
    done = [place for place in alive if texts[place] == before.lstrip() or texts[place] == before]
    _share(weights, done or alive, reached)
    return weights


def _led_to(texts: Sequence[str], alive: Sequence[int], path: str) -> list[int]:
    """Which texts go on from `path`; if none, the longest of those that it has passed."""
    ahead = [place for place in alive if texts[place].startswith(path) or texts[place].startswith(path.lstrip())]
    if ahead and path.strip():
        return ahead
    passed = [place for place in alive if path.startswith(texts[place]) or path.lstrip().startswith(texts[place])]
    longest = max((len(texts[place]) for place in passed), default=0)
    return [place for place in passed if len(texts[place]) == longest] or (list(alive) if not path.strip() else [])


def _share(weights: list[float], places: Sequence[int], probability: float) -> None:
    for place in places:
        weights[place] += probability / len(places)


def _written(texts: Sequence[str], written: str) -> list[float]:
    """Which of the texts the model wrote, by the longest that it begins with."""
    plain = written.strip()
    begun = [text.strip() if plain.startswith(text.strip()) else "" for text in texts]
    longest = max(map(len, begun), default=0)
    return [1.0 if longest and len(one) == longest else 0.0 for one in begun]


def _chat_step(token: Members) -> Step:
    chosen = token.get("token")
    chosen = chosen if isinstance(chosen, str) else ""
    options = {chosen: _probability(token.get("logprob"))}
    for one in map(members, items(token.get("top_logprobs"))):
        text = one.get("token")
        if isinstance(text, str):
            options.setdefault(text, _probability(one.get("logprob")))
    return Step(chosen, options)


def _completion_steps(told: Members) -> list[Step]:
    tokens, own, most = (items(told.get(key)) for key in ("tokens", "token_logprobs", "top_logprobs"))
    steps: list[Step] = []
    for place, token in enumerate(tokens):
        if not isinstance(token, str):
            break
        options = {token: _probability(own[place] if place < len(own) else None)}
        for text, logprob in members(most[place] if place < len(most) else None).items():
            options.setdefault(text, _probability(logprob))
        steps.append(Step(token, options))
    return steps


def _probability(logprob: JsonValue) -> float:
    told = number(logprob)
    return 0.0 if told is None else math.exp(min(0.0, told))
