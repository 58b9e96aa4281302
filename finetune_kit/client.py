"""`ModelClient`: one model on one backend, called as its card says."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from finetune_kit._arguments import string
from finetune_kit._questions import (
    Question,
    as_user,
    check_messages,
    checked_logprobs,
    checked_tools,
    question,
    sampling_of,
    texts_of,
)
from finetune_kit._threads import in_thread
from finetune_kit._warning import asked_from_here
from finetune_kit.backends import (
    AnswersAsync,
    Backend,
    ExportDtype,
    ExportFormat,
    Exports,
    Generation,
    Sampling,
    Streams,
    StreamsAsync,
    TakesTools,
    TellsLogprobs,
    TokenLogprob,
    ToolCall,
    connect,
)
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.cards import ModelCard
from finetune_kit.errors import BackendError, ParameterError, TemplateError
from finetune_kit.hosts.closing import warn_of_closing
from finetune_kit.records import JsonValue
from finetune_kit.templates import PromptTemplate


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
        """`stop`, `tool_calls`, or `length` where `max_tokens` cut it off."""
        return self.generation.finish_reason

    @property
    def logprobs(self) -> tuple[TokenLogprob, ...] | None:
        """How probable each token was, those of a stop sequence included; None where `logprobs` was not asked for."""
        return self.generation.logprobs

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """What the model wants done, besides or instead of what it says."""
        return self.generation.tool_calls


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
        """Its papers; `UnknownModelError` where the backend has no such model.

        Warns with `ShutdownWarning` of a model that stops to answer within 90 days, as each first call does.
        """
        card = self._given_card if self._given_card is not None else self._backend.card(self._name)
        warn_of_closing(self._backend.profile, base=card.base, model=self._name)
        return card

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
        logprobs: bool = False,
        top_logprobs: int | None = None,
    ) -> Completion:
        """The completion of a plain prompt; the template, and with it the stop sequence, is the model's own.

        Greedy unless `temperature` (0 to 2) says otherwise. A model that takes chat messages gets the prompt as the
        user's. With `logprobs` the answer tells how probable each of its tokens was, with `top_logprobs` (0 to 20; a
        host may tell fewer) the likeliest tokens at each place too: see `Completion.logprobs`.
        """
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        sampling = self._with_logprobs(sampling, logprobs, top_logprobs)
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
        logprobs: bool = False,
        top_logprobs: int | None = None,
    ) -> list[Completion]:
        """The same for many prompts, which are answered together and several times faster."""
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        sampling = self._with_logprobs(sampling, logprobs, top_logprobs)
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
        logprobs: bool = False,
        top_logprobs: int | None = None,
    ) -> Completion:
        """`complete` without blocking the event loop."""
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        sampling = self._with_logprobs(sampling, logprobs, top_logprobs)
        return (await self._complete_async([string("prompt", prompt)], sampling))[0]

    async def complete_many_async(
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
        logprobs: bool = False,
        top_logprobs: int | None = None,
    ) -> list[Completion]:
        """`complete_many` without blocking the event loop."""
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        sampling = self._with_logprobs(sampling, logprobs, top_logprobs)
        return await self._complete_async(prompts, sampling)

    def stream(
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
        tools: Sequence[Mapping[str, JsonValue]] | None = None,
    ) -> Iterator[str]:
        """The completion of a plain prompt, piece by piece as it is written; put together they are `complete`'s.

        A backend that does not stream gives it in one piece. Stop reading, and the model stops writing. An answer that
        calls tools, where `tools` offers some, ends with an empty piece that has them as its `tool_calls`: a
        `finetune_kit.backends.CallingPiece`.
        """
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        return self._stream(string("prompt", prompt), self._with_tools(sampling, tools))

    def stream_async(
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
        tools: Sequence[Mapping[str, JsonValue]] | None = None,
    ) -> AsyncGenerator[str]:
        """`stream` without blocking the event loop: `async for piece in model.stream_async(prompt)`.

        Whoever stops early ends it by closing it (`contextlib.aclosing`), or leaves that to the event loop.
        """
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        return self._stream_async(string("prompt", prompt), self._with_tools(sampling, tools))

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
        tools: Sequence[Mapping[str, JsonValue]] | None = None,
        logprobs: bool = False,
        top_logprobs: int | None = None,
    ) -> Completion:
        """The answer to a conversation, given as messages with `role` and `content`.

        A model that learned from prompts and completions has no notion of turns: it takes one user message and nothing
        else. `tools` are what a hosted model may call, in OpenAI's shape; what it calls is in the answer's
        `tool_calls`, and stands in the next turn as `{"role": "assistant", "tool_calls": [call.content()]}`.
        """
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        sampling = self._with_logprobs(sampling, logprobs, top_logprobs)
        sampling = self._with_tools(sampling, tools)
        check_messages(messages, calls=self._takes_tools)
        if self.card.template is None:
            [answer] = self._backend.chat(self._name, [messages], sampling)
            return Completion(answer.text, answer)
        return self._complete([self._only_turn(messages)], sampling)[0]

    async def chat_async(
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
        tools: Sequence[Mapping[str, JsonValue]] | None = None,
        logprobs: bool = False,
        top_logprobs: int | None = None,
    ) -> Completion:
        """`chat` without blocking the event loop."""
        sampling = sampling_of(temperature, max_tokens, top_p, frequency_penalty, presence_penalty, stop, seed)
        sampling = self._with_logprobs(sampling, logprobs, top_logprobs)
        sampling = self._with_tools(sampling, tools)
        check_messages(messages, calls=self._takes_tools)
        if (await self._card_async()).template is None:
            [answer] = await self._answers_async(Question([messages], sampling, None))
            return Completion(answer.text, answer)
        return (await self._complete_async([self._only_turn(messages)], sampling))[0]

    def classify(self, text: str, *, labels: Sequence[str] | None = None) -> Label:
        """The most probable label; by default among those that the model was trained on.

        Only the labels can come out, and one pass through the model decides, where `complete` needs one for each token.
        """
        return self.classify_many([string("text", text)], labels=labels)[0]

    def classify_many(self, texts: Sequence[str], *, labels: Sequence[str] | None = None) -> list[Label]:
        """The same for many texts, which go through the model together."""
        chosen = self._labels(labels)
        asked = texts_of("texts", texts)
        if not asked:
            return []
        template = self.card.template
        if template is None:
            ranked = self._backend.rank_chat(self._name, [as_user(text) for text in asked], chosen)
        else:
            prompts = [template.prompt(text) for text in asked]
            ranked = self._backend.rank(self._name, prompts, [template.completion(label) for label in chosen])
        return [_label(chosen, probabilities) for probabilities in ranked]

    def export(
        self,
        path: str | os.PathLike[str],
        *,
        format: ExportFormat | None = None,  # noqa: A002 - the field's word
        dtype: ExportDtype | None = None,
    ) -> Path:
        """Write the model for other programs, and return where; whole or not at all, and over nothing that is there.

        `format` is `"safetensors"`, a folder with all weights, tokenizer and chat template, for transformers and vLLM;
        `"gguf"`, one file for llama.cpp and what is built on it; or `"peft"`, a folder with the adapter alone. By
        default a path that ends in .gguf makes that, and another one safetensors. `dtype` is `"bfloat16"`,
        `"float16"`, `"float32"` or, for GGUF, `"q8_0"`; by default as the base model is stored. Only models on this
        machine are exported: hosts keep the weights.

        >>> model.export("support.gguf", dtype="q8_0")  # doctest: +SKIP
        """
        backend = self._backend
        if not isinstance(backend, Exports):
            raise BackendError(
                f"{self._name} cannot be exported: {backend.profile.name!r} keeps the weights of its models. Train on "
                "this machine (LocalBackend) for a model whose weights are yours."
            )
        return backend.export(self._name, path, format=format, dtype=dtype)

    @property
    def _takes_tools(self) -> bool:
        backend = self._backend
        return isinstance(backend, TakesTools) and backend.takes_tools

    def _with_logprobs(self, sampling: Sampling, logprobs: object, top_logprobs: object) -> Sampling:
        asked = checked_logprobs(logprobs, top_logprobs)
        if asked is None:
            return sampling
        backend = self._backend
        if not isinstance(backend, TellsLogprobs):
            raise ParameterError(
                f"logprobs: {backend.profile.name!r} does not tell how probable tokens are.", parameter="logprobs"
            )
        return replace(sampling, top_logprobs=asked)

    def _with_tools(self, sampling: Sampling, tools: object) -> Sampling:
        offered = checked_tools(tools)
        if offered and not self._takes_tools:
            raise ParameterError(
                f"tools: the models of {self._backend.profile.name!r} are not offered any. Describe them in a message.",
                parameter="tools",
            )
        return replace(sampling, tools=offered) if offered else sampling

    def _only_turn(self, messages: ChatMessages) -> str:
        if len(messages) != 1 or messages[0]["role"] != "user":
            raise TemplateError(
                f"{self._name} learned from prompts and completions and has no notion of turns. Pass one user message, "
                "or train on examples with 'messages'."
            )
        return str(messages[0]["content"])

    def _complete(self, prompts: Sequence[str], sampling: Sampling) -> list[Completion]:
        texts = texts_of("prompts", prompts)
        if not texts:
            return []
        asked = question(self.card.template, texts, sampling)
        if asked.template is None:
            return _completions(asked, self._backend.chat(self._name, asked.conversations, asked.sampling))
        return _completions(asked, self._backend.complete(self._name, asked.prompts, asked.sampling))

    async def _complete_async(self, prompts: Sequence[str], sampling: Sampling) -> list[Completion]:
        texts = texts_of("prompts", prompts)
        if not texts:
            return []
        asked = question((await self._card_async()).template, texts, sampling)
        return _completions(asked, await self._answers_async(asked))

    async def _card_async(self) -> ModelCard:
        """The card, which may have to be fetched."""
        with asked_from_here():
            return await asyncio.to_thread(lambda: self.card)

    async def _answers_async(self, asked: Question) -> list[Generation]:
        backend, name, sampling = self._backend, self._name, asked.sampling
        if isinstance(backend, AnswersAsync):
            if asked.template is None:
                return await backend.chat_async(name, asked.conversations, sampling)
            return await backend.complete_async(name, asked.prompts, sampling)
        if asked.template is None:
            return await asyncio.to_thread(backend.chat, name, asked.conversations, sampling)
        return await asyncio.to_thread(backend.complete, name, asked.prompts, sampling)

    def _stream(self, prompt: str, sampling: Sampling) -> Iterator[str]:
        backend = self._backend
        if not isinstance(backend, Streams):
            text = str(self._complete([prompt], sampling)[0])
            yield from [text] if text else []
            return
        asked = question(self.card.template, [prompt], sampling)
        if asked.template is None:
            yield from backend.stream_chat(self._name, asked.conversations[0], asked.sampling)
        else:
            pieces = backend.stream(self._name, asked.prompts[0], asked.sampling)
            yield from _without_leading_space(pieces, asked.template)

    async def _stream_async(self, prompt: str, sampling: Sampling) -> AsyncGenerator[str]:
        async with aclosing(await self._pieces_async(prompt, sampling)) as pieces:
            async for piece in pieces:
                yield piece

    async def _pieces_async(self, prompt: str, sampling: Sampling) -> AsyncGenerator[str]:
        backend = self._backend
        if not isinstance(backend, StreamsAsync):
            return in_thread(self._stream(prompt, sampling))
        asked = question((await self._card_async()).template, [prompt], sampling)
        if asked.template is None:
            return _generated(backend.stream_chat_async(self._name, asked.conversations[0], asked.sampling))
        pieces = backend.stream_async(self._name, asked.prompts[0], asked.sampling)
        return _generated(pieces, leading_space=asked.template.leading_space)

    def _labels(self, labels: Sequence[str] | None) -> Sequence[str]:
        if labels is None:
            if not self.card.labels:
                raise ParameterError(
                    f"{self._name} was not trained on a closed set of labels. Pass labels=, at least two, each once.",
                    parameter="labels",
                )
            return self.card.labels
        chosen = texts_of("labels", labels)
        if len(chosen) < 2 or len(set(chosen)) != len(chosen):
            raise ParameterError(
                f"labels={labels!r} is not a choice: pass at least two, each once.", parameter="labels"
            )
        return chosen


def _completions(asked: Question, answers: Sequence[Generation]) -> list[Completion]:
    parse = str if asked.template is None else asked.template.parse
    return [Completion(parse(one.text), one) for one in answers]


def _without_leading_space(pieces: Iterator[str], template: PromptTemplate) -> Iterator[str]:
    """The pieces as `PromptTemplate.parse` reads them when they are together."""
    first = next(pieces, "")
    plain = first.removeprefix(" ") if template.leading_space else first
    yield from [plain] if plain else []
    yield from pieces


async def _generated(pieces: AsyncIterator[str], *, leading_space: bool = False) -> AsyncGenerator[str]:
    """The same for pieces that come without blocking; closed early, it closes where they come from."""
    try:
        async for piece in pieces:
            plain = piece.removeprefix(" ") if leading_space else piece
            if plain or not leading_space:
                yield plain
            leading_space = False
    finally:
        if isinstance(pieces, AsyncGenerator):
            await pieces.aclose()


def _label(labels: Sequence[str], probabilities: Sequence[float]) -> Label:
    ranked = sorted(zip(labels, probabilities, strict=True), key=lambda pair: -pair[1])
    return Label(label=ranked[0][0], probability=ranked[0][1], probabilities=dict(ranked))
