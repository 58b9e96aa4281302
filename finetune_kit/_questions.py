"""What users ask of a model, checked, and as a backend takes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from finetune_kit._arguments import checked_seed, number, string, whole_number
from finetune_kit.backends import Sampling
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.errors import ParameterError
from finetune_kit.records import JsonValue
from finetune_kit.templates import PromptTemplate

MAX_STOPS = 4


@dataclass(frozen=True, slots=True)
class Question:
    """Prompts or conversations as a backend takes them; without a template they are conversations."""

    asked: Sequence[ChatMessages] | Sequence[str]
    sampling: Sampling
    template: PromptTemplate | None

    @property
    def conversations(self) -> Sequence[ChatMessages]:
        """For a model that takes chat messages."""
        return cast("Sequence[ChatMessages]", self.asked)

    @property
    def prompts(self) -> Sequence[str]:
        """For a model with a template."""
        return cast("Sequence[str]", self.asked)


def question(template: PromptTemplate | None, prompts: Sequence[str], sampling: Sampling) -> Question:
    """The question that a model's template makes of prompts; without one they are a user's messages."""
    if template is None:
        return Question([as_user(prompt) for prompt in prompts], sampling, None)
    if sampling.tools:
        raise ParameterError(
            "tools: this model learned from prompts and completions and calls none. Train on examples with 'messages'.",
            parameter="tools",
        )
    ended = replace(sampling, stop=(template.stop, *sampling.stop)) if template.stop else sampling
    return Question([template.prompt(prompt) for prompt in prompts], ended, template)


def as_user(text: str) -> list[dict[str, JsonValue]]:
    """A conversation of one message."""
    return [{"role": "user", "content": text}]


def sampling_of(  # noqa: PLR0917 - the public calls hand all of them on, in the order of their signature
    temperature: float,
    max_tokens: int,
    top_p: float,
    frequency_penalty: float,
    presence_penalty: float,
    stop: str | Sequence[str] | None,
    seed: int | None,
) -> Sampling:
    """How to choose tokens, or `ParameterError` for what is out of range."""
    stops = [stop] if isinstance(stop, str) else texts_of("stop", stop or ())
    if len(stops) > MAX_STOPS or not all(stops):
        raise ParameterError(
            f"stop={stop!r}: give at most {MAX_STOPS} sequences, none of them empty.", parameter="stop"
        )
    return Sampling(
        temperature=number("temperature", temperature, 0, 2),
        max_tokens=whole_number("max_tokens", max_tokens, 1),
        top_p=number("top_p", top_p, 0, 1),
        frequency_penalty=number("frequency_penalty", frequency_penalty, -2, 2),
        presence_penalty=number("presence_penalty", presence_penalty, -2, 2),
        stop=tuple(stops),
        seed=checked_seed(seed),
    )


def checked_logprobs(logprobs: object, top_logprobs: object) -> int | None:
    """How many of the likeliest tokens are asked for at each place; None where no log-probabilities are."""
    if not isinstance(logprobs, bool):
        raise ParameterError(f"logprobs={logprobs!r}: give True or False.", parameter="logprobs")
    if top_logprobs is None:
        return 0 if logprobs else None
    if not logprobs:
        raise ParameterError("top_logprobs is told only with logprobs=True.", parameter="top_logprobs")
    return whole_number("top_logprobs", top_logprobs, 0, 20)


def texts_of(name: str, values: object) -> list[str]:
    """A list of strings, or `ParameterError`."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(f"{name} is {type(values).__name__}, not a list of strings.", parameter=name)
    return [string(f"{name}[{place}]", value) for place, value in enumerate(cast("Iterable[object]", values))]


def checked_tools(tools: object) -> tuple[Mapping[str, JsonValue], ...]:
    """Tools in OpenAI's shape, or `ParameterError`; what is in their schemas is the host's to judge."""
    if tools is None:
        return ()
    kind = type(tools).__name__
    if isinstance(tools, str | Mapping) or not isinstance(tools, Iterable):
        raise ParameterError(f"tools is {kind}, not a list of tools.", parameter="tools")
    checked = [_tool(tool) for tool in cast("Iterable[object]", tools)]
    for place, tool in enumerate(checked):
        inner = tool.get("custom" if tool.get("type") == "custom" else "function")
        if not isinstance(inner, dict) or not isinstance(inner.get("name"), str):
            raise ParameterError(
                f'tools[{place}] is no tool: give {{"type": "function", "function": {{"name": …, "parameters": …}}}}.',
                parameter="tools",
            )
    return tuple(checked)


def _tool(tool: object) -> Mapping[str, JsonValue]:
    return cast("Mapping[str, JsonValue]", tool) if isinstance(tool, Mapping) else {}


def check_messages(messages: object, *, calls: bool = False) -> None:
    """Raise `ParameterError` for what is no conversation; with `calls`, messages may call tools and say nothing."""
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence) or not messages:
        raise ParameterError(
            "messages is a list of at least one message with 'role' and 'content'.", parameter="messages"
        )
    for place, message in enumerate(cast("Sequence[object]", messages)):
        if not isinstance(message, Mapping):
            raise ParameterError(
                f"messages[{place}] is {type(message).__name__}, not an object with 'role' and 'content'.",
                parameter="messages",
            )
        parts = cast("Mapping[object, object]", message)
        silent = calls and parts.get("content") is None and bool(parts.get("tool_calls"))
        for key in ("role",) if silent else ("role", "content"):
            string(f"messages[{place}][{key!r}]", parts.get(key))
