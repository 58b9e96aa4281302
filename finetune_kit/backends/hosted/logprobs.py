"""How probable the tokens of an answer were, as hosts tell it in either of two shapes."""

from __future__ import annotations

from collections.abc import Iterator

from finetune_kit.backends.hosted.asking import JsonObject
from finetune_kit.backends.hosted.objects.values import Members, first, items, members, number
from finetune_kit.backends.protocol import TokenLogprob, TopLogprob
from finetune_kit.records import JsonValue

_LEAST = -9999.0
"""What OpenAI tells of a token that is as good as impossible."""


def logprobs_of(answer: JsonObject, most: int) -> tuple[TokenLogprob, ...] | None:
    """Of each token, with at most so many of the likeliest at its place; None where the host told nothing."""
    told = members(members(first(answer.get("choices"))).get("logprobs"))
    if not told:
        return None
    content = told.get("content")
    if isinstance(content, list):
        return tuple(_chat_token(members(one), most) for one in content)
    return tuple(_completion_tokens(told, most))


def _chat_token(one: Members, most: int) -> TokenLogprob:
    top = [_option(members(other)) for other in items(one.get("top_logprobs"))]
    own = _option(one)
    return TokenLogprob(own.token, own.logprob, own.utf8, _likeliest(top, most))


def _option(one: Members) -> TopLogprob:
    token = one.get("token")
    text = token if isinstance(token, str) else ""
    told = [number(byte) for byte in items(one.get("bytes"))]
    whole = [int(byte) for byte in told if byte is not None and 0 <= byte <= 255]
    return TopLogprob(text, _logprob(one.get("logprob")), bytes(whole) if len(whole) == len(told) else b"")


def _completion_tokens(told: Members, most: int) -> Iterator[TokenLogprob]:
    tokens, own, top = (items(told.get(key)) for key in ("tokens", "token_logprobs", "top_logprobs"))
    for place, token in enumerate(tokens):
        options = members(top[place] if place < len(top) else None)
        likeliest = _likeliest([TopLogprob(text, _logprob(value), b"") for text, value in options.items()], most)
        text = token if isinstance(token, str) else ""
        yield TokenLogprob(text, _logprob(own[place] if place < len(own) else None), b"", likeliest)


def _likeliest(options: list[TopLogprob], most: int) -> tuple[TopLogprob, ...]:
    return tuple(sorted(options, key=lambda one: -one.logprob)[:most])


def _logprob(told: JsonValue) -> float:
    found = number(told)
    return _LEAST if found is None else float(found)
