"""What a model is asked: the bodies of chat and completion calls, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from finetune_kit.backends import Sampling
from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator import checking
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import JsonObject

_MOST_STOPS = 4
_MOST_TOKENS = 1 << 20
_CHAT_TOKENS = 4096
_COMPLETION_TOKENS = 16
"""What the API writes at most where nothing is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What both calls have in common."""

    model: str
    sampling: Sampling
    choices: int
    top_logprobs: int | None
    """How many alternatives are told with each token; None where no probabilities are wanted."""
    stream: bool
    include_usage: bool


@dataclass(frozen=True, slots=True)
class ChatQuestion:
    """`POST /chat/completions`."""

    asked: Question
    messages: list[JsonObject]


@dataclass(frozen=True, slots=True)
class CompletionQuestion:
    """`POST /completions`."""

    asked: Question
    prompts: list[str]
    echo: bool


def read_chat(body: JsonObject, *, model: str | None = None) -> ChatQuestion:
    """A chat call; `model` is what stands in the path at Azure."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise checking.wrong_type("messages", "an array", messages)
    if not messages:
        raise Refusal.invalid(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.", param="messages"
        )
    wanted, top = body.get("logprobs"), body.get("top_logprobs")
    if top is not None and not wanted:
        raise Refusal.invalid("'logprobs' must be set to true if 'top_logprobs' is used.", param="top_logprobs")
    told = checking.integer(top or 0, param="top_logprobs", least=0, most=20) if wanted else None
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    asked = _question(body, model=model, limit=limit, default=_CHAT_TOKENS, least=1, top=told)
    return ChatQuestion(asked, [_message(one, place) for place, one in enumerate(messages)])


def read_completion(body: JsonObject, *, model: str | None = None) -> CompletionQuestion:
    """A completion call."""
    prompt = body.get("prompt", "<|endoftext|>")
    prompts = prompt if isinstance(prompt, list) else [prompt]
    if not prompts or not all(isinstance(one, str) for one in prompts):
        raise checking.wrong_type("prompt", "a string or an array of strings", prompt)
    wanted, echo = body.get("logprobs"), body.get("echo") is True
    top = None if wanted is None else checking.integer(wanted, param="logprobs", least=0, most=5)
    if echo and top is not None:
        message = "Setting 'echo' and 'logprobs' at the same time is not supported for this model."
        raise Refusal.invalid(message, param="logprobs")
    limit = body.get("max_tokens")
    asked = _question(body, model=model, limit=limit, default=_COMPLETION_TOKENS, least=0 if echo else 1, top=top)
    return CompletionQuestion(asked, cast("list[str]", prompts), echo)


def _question(
    body: JsonObject, *, model: str | None, limit: JsonValue, default: int, least: int, top: int | None
) -> Question:
    options = checking.mapping(body.get("stream_options"), param="stream_options")
    return Question(
        model=checking.needed_text(body, "model") if model is None else model,
        sampling=_sampling(body, _whole(limit, "max_tokens", least=least, most=_MOST_TOKENS, default=default)),
        choices=_whole(body.get("n"), "n", least=1, most=128, default=1),
        top_logprobs=top,
        stream=body.get("stream") is True,
        include_usage=options.get("include_usage") is True,
    )


def _sampling(body: JsonObject, max_tokens: int) -> Sampling:
    seed = body.get("seed")
    return Sampling(
        temperature=_share(body, "temperature", least=0, most=2, default=1.0),
        top_p=_share(body, "top_p", least=0, most=1, default=1.0),
        frequency_penalty=_share(body, "frequency_penalty", least=-2, most=2, default=0.0),
        presence_penalty=_share(body, "presence_penalty", least=-2, most=2, default=0.0),
        max_tokens=max_tokens,
        stop=_stops(body.get("stop")),
        seed=seed if isinstance(seed, int) else None,
    )


def _stops(value: JsonValue) -> tuple[str, ...]:
    stops = [] if value is None else value if isinstance(value, list) else [value]
    if len(stops) > _MOST_STOPS:
        message = f"Invalid 'stop': array too long. Expected an array with maximum length {_MOST_STOPS}."
        raise Refusal.invalid(message, param="stop", code="array_above_max_length")
    for one in stops:
        if not isinstance(one, str):
            raise checking.wrong_type("stop", "a string or an array of strings", one)
    return tuple(str(one) for one in stops)


def _share(body: JsonObject, name: str, *, least: float, most: float, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
        return float(value)
    message = f"Invalid '{name}': expected a number from {least:g} to {most:g}, but got {value!r} instead."
    raise Refusal.invalid(message, param=name, code="invalid_value")


def _whole(value: JsonValue, param: str, *, least: int, most: int, default: int) -> int:
    return default if value is None else checking.integer(value, param=param, least=least, most=most)


def _message(value: JsonValue, place: int) -> JsonObject:
    message = checking.mapping(value, param=f"messages[{place}]")
    if not isinstance(message.get("role"), str):
        param = f"messages[{place}].role"
        raise Refusal.invalid(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")
    return message
