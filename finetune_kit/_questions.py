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


def texts_of(name: str, values: object) -> list[str]:
    """A list of strings, or `ParameterError`."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(f"{name} is {type(values).__name__}, not a list of strings.", parameter=name)
    return [string(f"{name}[{place}]", value) for place, value in enumerate(cast("Iterable[object]", values))]


def check_messages(messages: object) -> None:
    """Raise `ParameterError` for what is no conversation."""
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
        for key in ("role", "content"):
            string(f"messages[{place}][{key!r}]", parts.get(key))
