"""`ModelClient`: one model on one backend, called as its card says."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from finetune_kit._arguments import checked_seed, number, string, whole_number
from finetune_kit.backends import Backend, Generation, Sampling, connect
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.cards import ModelCard
from finetune_kit.errors import ParameterError, TemplateError
from finetune_kit.records import JsonValue

MAX_STOPS = 4


class Completion(str):
    """What the model wrote: a string that also knows how it ended."""

    __slots__ = ("generation",)
    generation: Generation

    def __new__(cls, text: str, generation: Generation) -> Completion:
        made = super().__new__(cls, text)
        made.generation = generation
        return made

    def __reduce__(self) -> tuple[type[Completion], tuple[str, Generation]]:
        return type(self), (str(self), self.generation)

    @property
    def finish_reason(self) -> str:
        """`stop`, or `length` where `max_tokens` cut it off."""
        return self.generation.finish_reason


@dataclass(frozen=True, slots=True)
class Label:
    """The model's choice among a closed set of labels."""

    label: str
    probability: float
    """Among the labels given; all of them add up to 1."""
    probabilities: Mapping[str, float]
    """Every label's, the most probable first."""

    def __str__(self) -> str:
        return self.label


class ModelClient:
    """A model that answers. Its card decides how prompts are rendered, so it cannot be called with the wrong template.

    >>> model = ModelClient("ft:smollm2-135m:local::1a2b3c4d")  # doctest: +SKIP
    >>> model.complete("Where is my order?")  # doctest: +SKIP
    'track_order'
    """

    def __init__(self, name: str, backend: Backend | None = None, *, card: ModelCard | None = None) -> None:
        """A model by its name, or by that of its deployment, which needs the model's own `card`."""
        self._name, self._given_backend, self._given_card = name, backend, card

    def __repr__(self) -> str:
        return f"ModelClient({self._name!r})"

    @cached_property
    def _backend(self) -> Backend:
        return connect(self._given_backend)

    @property
    def name(self) -> str:
        """What to call it."""
        return self._name

    @cached_property
    def card(self) -> ModelCard:
        """Its papers; `UnknownModelError` where the backend has no such model."""
        return self._given_card if self._given_card is not None else self._backend.card(self._name)

    def complete(
        self,
        prompt: str,
        *,
        temperature: float = 0.0,
        max_tokens: int = 256,
        top_p: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Completion:
        """The completion of a plain prompt; the template, and with it the stop sequence, is the model's own.

        Greedy unless `temperature` (0 to 2) says otherwise. A model that takes chat messages gets the prompt as the
        user's.
        """
        sampling = _sampling(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        return self._complete([string("prompt", prompt)], sampling)[0]

    def complete_many(
        self,
        prompts: Sequence[str],
        *,
        temperature: float = 0.0,
        max_tokens: int = 256,
        top_p: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
    ) -> list[Completion]:
        """The same for many prompts, which are answered together and several times faster."""
        sampling = _sampling(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        return self._complete(prompts, sampling)

    async def complete_async(
        self,
        prompt: str,
        *,
        temperature: float = 0.0,
        max_tokens: int = 256,
        top_p: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Completion:
        """`complete` without blocking the event loop."""
        sampling = _sampling(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        return (await asyncio.to_thread(self._complete, [string("prompt", prompt)], sampling))[0]

    def chat(
        self,
        messages: ChatMessages,
        *,
        temperature: float = 0.0,
        max_tokens: int = 256,
        top_p: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
    ) -> Completion:
        """The answer to a conversation, given as messages with `role` and `content`.

        A model that learned from prompts and completions has no notion of turns: it takes one user message and nothing
        else.
        """
        sampling = _sampling(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        _check_messages(messages)
        if self.card.template is None:
            [answer] = self._backend.chat(self._name, [messages], sampling)
            return Completion(answer.text, answer)
        if len(messages) != 1 or messages[0]["role"] != "user":
            raise TemplateError(
                f"{self._name} learned from prompts and completions and has no notion of turns. Pass one user message, "
                "or train on examples with 'messages'."
            )
        return self._complete([str(messages[0]["content"])], sampling)[0]

    def classify(self, text: str, *, labels: Sequence[str] | None = None) -> Label:
        """The most probable label; by default among those that the model was trained on.

        Only the labels can come out, and one pass through the model decides, where `complete` needs one for each token.
        """
        return self.classify_many([string("text", text)], labels=labels)[0]

    def classify_many(self, texts: Sequence[str], *, labels: Sequence[str] | None = None) -> list[Label]:
        """The same for many texts, which go through the model together."""
        chosen = self._labels(labels)
        asked = _texts("texts", texts)
        if not asked:
            return []
        template = self.card.template
        if template is None:
            ranked = self._backend.rank_chat(self._name, [_as_user(text) for text in asked], chosen)
        else:
            prompts = [template.prompt(text) for text in asked]
            ranked = self._backend.rank(self._name, prompts, [template.completion(label) for label in chosen])
        return [_label(chosen, probabilities) for probabilities in ranked]

    def _complete(self, prompts: Sequence[str], sampling: Sampling) -> list[Completion]:
        asked = _texts("prompts", prompts)
        template = self.card.template
        if not asked:
            return []
        if template is None:
            conversations = [_as_user(prompt) for prompt in asked]
            return [Completion(one.text, one) for one in self._backend.chat(self._name, conversations, sampling)]
        rendered = [template.prompt(prompt) for prompt in asked]
        ended = replace(sampling, stop=(template.stop, *sampling.stop)) if template.stop else sampling
        return [
            Completion(template.parse(one.text), one) for one in self._backend.complete(self._name, rendered, ended)
        ]

    def _labels(self, labels: Sequence[str] | None) -> Sequence[str]:
        if labels is None:
            if not self.card.labels:
                raise ParameterError(
                    f"{self._name} was not trained on a closed set of labels. Pass labels=, at least two, each once.",
                    parameter="labels",
                )
            return self.card.labels
        chosen = _texts("labels", labels)
        if len(chosen) < 2 or len(set(chosen)) != len(chosen):
            raise ParameterError(
                f"labels={labels!r} is not a choice: pass at least two, each once.", parameter="labels"
            )
        return chosen


def _label(labels: Sequence[str], probabilities: Sequence[float]) -> Label:
    ranked = sorted(zip(labels, probabilities, strict=True), key=lambda pair: -pair[1])
    return Label(label=ranked[0][0], probability=ranked[0][1], probabilities=dict(ranked))


def _as_user(text: str) -> list[dict[str, JsonValue]]:
    return [{"role": "user", "content": text}]


def _sampling(  # noqa: PLR0917 - the public calls hand all of them on, in the order of their signature
    temperature: float,
    max_tokens: int,
    top_p: float,
    frequency_penalty: float,
    presence_penalty: float,
    stop: str | Sequence[str] | None,
    seed: int | None,
) -> Sampling:
    stops = [stop] if isinstance(stop, str) else _texts("stop", stop or ())
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


def _texts(name: str, values: object) -> list[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ParameterError(f"{name} is {type(values).__name__}, not a list of strings.", parameter=name)
    return [string(f"{name}[{place}]", value) for place, value in enumerate(cast("Iterable[object]", values))]


def _check_messages(messages: object) -> None:
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
