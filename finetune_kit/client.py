"""`ModelClient`: one model on one backend, called as its card says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

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

    def __getnewargs__(self) -> tuple[str, Generation]:
        return str(self), self.generation

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

    def __init__(self, name: str, backend: Backend | None = None) -> None:
        self._name, self._given_backend = name, backend

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
        return self._backend.card(self._name)

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

        Greedy unless `temperature` (0 to 2) says otherwise. A model that takes chat messages gets the prompt as the user's.
        """
        return self.complete_many(
            [prompt],
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            stop=stop,
            seed=seed,
        )[0]

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
        sampling = _sampling(
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            stop=stop,
            seed=seed,
        )
        template = self.card.template
        for prompt in prompts:
            _check_text(prompt, "prompt")
        if not prompts:
            return []
        if template is None:
            conversations = [_as_user(prompt) for prompt in prompts]
            return [Completion(one.text, one) for one in self._backend.chat(self._name, conversations, sampling)]
        rendered = [template.prompt(prompt) for prompt in prompts]
        generations = self._backend.complete(self._name, rendered, _with_stop(sampling, template.stop))
        return [Completion(template.parse(one.text), one) for one in generations]

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
        return await asyncio.to_thread(
            self.complete,
            prompt,
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            stop=stop,
            seed=seed,
        )

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

        A model that learned from prompts and completions has no notion of turns: it takes one user message and nothing else.
        """
        _check_messages(messages)
        if self.card.template is None:
            sampling = _sampling(
                temperature=temperature,
                max_tokens=max_tokens,
                top_p=top_p,
                frequency_penalty=frequency_penalty,
                presence_penalty=presence_penalty,
                stop=stop,
                seed=seed,
            )
            (answer,) = self._backend.chat(self._name, [messages], sampling)
            return Completion(answer.text, answer)
        if len(messages) != 1 or messages[0]["role"] != "user":
            raise TemplateError(
                f"{self._name} learned from prompts and completions and has no notion of turns. Pass one user message, "
                "or train on examples with 'messages'."
            )
        return self.complete(
            str(messages[0]["content"]),
            temperature=temperature,
            max_tokens=max_tokens,
            top_p=top_p,
            frequency_penalty=frequency_penalty,
            presence_penalty=presence_penalty,
            stop=stop,
            seed=seed,
        )

    def classify(self, text: str, *, labels: Sequence[str] | None = None) -> Label:
        """The most probable label; by default among those that the model was trained on.

        Only the labels can come out, and one pass through the model decides, where `complete` needs one for every token.
        """
        return self.classify_many([text], labels=labels)[0]

    def classify_many(self, texts: Sequence[str], *, labels: Sequence[str] | None = None) -> list[Label]:
        """The same for many texts, which go through the model together."""
        chosen = self._labels(labels)
        for text in texts:
            _check_text(text, "text")
        if not texts:
            return []
        template = self.card.template
        if template is None:
            ranked = self._backend.rank_chat(self._name, [_as_user(text) for text in texts], chosen)
        else:
            prompts = [template.prompt(text) for text in texts]
            ranked = self._backend.rank(self._name, prompts, [template.completion(label) for label in chosen])
        return [_label(chosen, probabilities) for probabilities in ranked]

    def _labels(self, labels: Sequence[str] | None) -> Sequence[str]:
        chosen = self.card.labels if labels is None else labels
        if isinstance(chosen, str) or len(set(chosen)) != len(chosen) or len(chosen) < 2:
            raise ParameterError(
                f"{self._name} was not trained on a closed set of labels. Pass labels=, at least two, each once."
                if labels is None
                else f"labels={labels!r} is not a choice: pass at least two, each once.",
                parameter="labels",
            )
        return chosen


def _label(labels: Sequence[str], probabilities: Sequence[float]) -> Label:
    ranked = sorted(zip(labels, probabilities, strict=True), key=lambda pair: -pair[1])
    return Label(label=ranked[0][0], probability=ranked[0][1], probabilities=dict(ranked))


def _as_user(text: str) -> list[dict[str, JsonValue]]:
    return [{"role": "user", "content": text}]


def _with_stop(sampling: Sampling, stop: str) -> Sampling:
    return Sampling(
        temperature=sampling.temperature,
        max_tokens=sampling.max_tokens,
        top_p=sampling.top_p,
        frequency_penalty=sampling.frequency_penalty,
        presence_penalty=sampling.presence_penalty,
        stop=(stop, *sampling.stop),
        seed=sampling.seed,
    )


def _sampling(
    *,
    temperature: float,
    max_tokens: int,
    top_p: float,
    frequency_penalty: float,
    presence_penalty: float,
    stop: str | Sequence[str] | None,
    seed: int | None,
) -> Sampling:
    _check_range("temperature", temperature, 0, 2)
    _check_range("top_p", top_p, 0, 1)
    _check_range("frequency_penalty", frequency_penalty, -2, 2)
    _check_range("presence_penalty", presence_penalty, -2, 2)
    if max_tokens < 1:
        raise ParameterError(f"max_tokens={max_tokens!r}: ask for at least 1.", parameter="max_tokens")
    stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
    if len(stops) > MAX_STOPS or not all(stops):
        raise ParameterError(
            f"stop={stop!r}: give at most {MAX_STOPS} sequences, none of them empty.", parameter="stop"
        )
    return Sampling(
        temperature=temperature,
        max_tokens=max_tokens,
        top_p=top_p,
        frequency_penalty=frequency_penalty,
        presence_penalty=presence_penalty,
        stop=stops,
        seed=seed,
    )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ParameterError(f"{name}={value!r}: give a number from {low} to {high}.", parameter=name)


def _check_text(text: object, name: str) -> None:
    if not isinstance(text, str):
        raise ParameterError(f"{name} is {type(text).__name__}, not text. Pass a string.", parameter=name)


def _check_messages(messages: Sequence[object]) -> None:
    if isinstance(messages, str) or not messages:
        raise ParameterError(
            "messages is a list of at least one message with 'role' and 'content'.", parameter="messages"
        )
    for number, message in enumerate(messages, start=1):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):  # pyright: ignore[reportUnknownMemberType]
            raise ParameterError(
                f"message {number} is no object with 'role' and 'content': {type(message).__name__}.",
                parameter="messages",
            )
        if not isinstance(message.get("content"), str):  # pyright: ignore[reportUnknownMemberType]
            raise ParameterError(f"message {number} has no text as 'content'.", parameter="messages")
