"""The bodies of answers to chat and completion calls, whole and in pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import orjson

from finetune_kit.backends import Generation
from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator.probabilities import ScoredToken, tokens_of
from finetune_kit.testing.simulator.wire import JsonObject


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer."""

    text: str
    generation: Generation
    scored: Sequence[ScoredToken] | None


@dataclass(frozen=True, slots=True)
class Said:
    """All answers to one call."""

    id: str
    model: str
    created_at: float
    choices: Sequence[Choice]
    prompts: int
    """How many there were; each is counted once, whatever the number of choices."""

    def usage(self) -> JsonObject:
        """Tokens read and written."""
        each = max(1, len(self.choices) // max(1, self.prompts))
        read = sum(choice.generation.prompt_tokens for choice in self.choices[::each])
        written = sum(choice.generation.completion_tokens for choice in self.choices)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def chat(self) -> JsonObject:
        """As `chat.completion`."""
        choices: list[JsonValue] = [
            {
                "index": place,
                "message": {"role": "assistant", "content": choice.text, "refusal": None},
                "logprobs": None if choice.scored is None else {"content": _chat_scores(choice.scored)},
                "finish_reason": choice.generation.finish_reason,
            }
            for place, choice in enumerate(self.choices)
        ]
        return {**self._head("chat.completion"), "choices": choices, "usage": self.usage()}

    def completion(self) -> JsonObject:
        """As `text_completion`."""
        choices: list[JsonValue] = [
            {
                "text": choice.text,
                "index": place,
                "logprobs": None if choice.scored is None else _completion_scores(choice.scored),
                "finish_reason": choice.generation.finish_reason,
            }
            for place, choice in enumerate(self.choices)
        ]
        return {**self._head("text_completion"), "choices": choices, "usage": self.usage()}

    def chat_events(self, *, include_usage: bool) -> Iterator[bytes]:
        """Token by token, as server-sent events."""
        for place, choice in enumerate(self.choices):
            yield self._chunk(_delta(place, {"role": "assistant", "content": ""}))
            for token in tokens_of(choice.text):
                yield self._chunk(_delta(place, {"content": token}))
            yield self._chunk(_delta(place, {}, finish=choice.generation.finish_reason))
        yield from self._end("chat.completion.chunk", include_usage=include_usage)

    def completion_events(self, *, include_usage: bool) -> Iterator[bytes]:
        """Token by token, as server-sent events."""
        for place, choice in enumerate(self.choices):
            finish = choice.generation.finish_reason
            for text, reason in [*((token, None) for token in tokens_of(choice.text)), ("", finish)]:
                one: JsonObject = {"text": text, "index": place, "logprobs": None, "finish_reason": reason}
                yield _event({**self._head("text_completion"), "choices": [one]})
        yield from self._end("text_completion", include_usage=include_usage)

    def _chunk(self, choice: JsonObject) -> bytes:
        return _event({**self._head("chat.completion.chunk"), "choices": [choice]})

    def _end(self, kind: str, *, include_usage: bool) -> Iterator[bytes]:
        if include_usage:
            yield _event({**self._head(kind), "choices": [], "usage": self.usage()})
        yield b"data: [DONE]\n\n"

    def _head(self, kind: str) -> JsonObject:
        return {"id": self.id, "object": kind, "created": int(self.created_at), "model": self.model}


def _delta(place: int, delta: JsonObject, *, finish: str | None = None) -> JsonObject:
    return {"index": place, "delta": delta, "logprobs": None, "finish_reason": finish}


def _event(value: JsonObject) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


def _chat_scores(scored: Sequence[ScoredToken]) -> list[JsonValue]:
    return [
        {
            **_token(one.token, one.logprob),
            "top_logprobs": [_token(token, logprob) for token, logprob in one.alternatives],
        }
        for one in scored
    ]


def _token(token: str, logprob: float) -> JsonObject:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _completion_scores(scored: Sequence[ScoredToken]) -> JsonObject:
    offsets: list[JsonValue] = []
    place = 0
    for one in scored:
        offsets.append(place)
        place += len(one.token)
    return {
        "tokens": [one.token for one in scored],
        "token_logprobs": [one.logprob for one in scored],
        "top_logprobs": [dict(one.alternatives) for one in scored],
        "text_offset": offsets,
    }
