"""The calls of models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from finetune_kit.backends import Generation
from finetune_kit.testing.simulator.answering import Choice, Said
from finetune_kit.testing.simulator.asking import Question, read_chat, read_completion
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.model_routes import deployed
from finetune_kit.testing.simulator.probabilities import score
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.training import Trained
from finetune_kit.testing.simulator.wire import Call, Handler, Reply, Stream, json_answer

_Result = TypeVar("_Result")
_EVENTS = "text/event-stream; charset=utf-8"


class InferenceRoutes:
    """`/chat/completions` and `/completions`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Each by its method and path."""
        found: dict[tuple[str, str], Handler] = {
            ("POST", "/chat/completions"): self.chat,
            ("POST", "/completions"): self.complete,
        }
        if self._desk.flavour.azure:
            found["POST", "/deployments/{deployment}/chat/completions"] = self.chat
            found["POST", "/deployments/{deployment}/completions"] = self.complete
        return found

    async def chat(self, call: Call) -> Reply:
        """Answer a conversation."""
        asked = read_chat(await call.json(), model=call.names.get("deployment"))
        model = self._model(asked.asked, chat=True)
        backend, messages = self._desk.trainer.backend, [asked.messages]
        [generation] = await self._away(lambda: backend.chat(model.inner, messages, asked.asked.sampling))
        ranked: Sequence[float] = ()
        if asked.asked.top_logprobs is not None and model.labels:
            [ranked] = await self._away(lambda: backend.rank_chat(model.inner, messages, model.labels))
        choice = _choice(asked.asked, generation, model.labels, ranked)
        said = self._said("chatcmpl-", asked.asked, [choice] * asked.asked.choices, prompts=1)
        if asked.asked.stream:
            return Stream(said.chat_events(include_usage=asked.asked.include_usage), _EVENTS)
        return json_answer(said.chat())

    async def complete(self, call: Call) -> Reply:
        """Go on from each prompt."""
        asked = read_completion(await call.json(), model=call.names.get("deployment"))
        model = self._model(asked.asked, chat=False)
        backend, prompts = self._desk.trainer.backend, asked.prompts
        generations = await self._away(lambda: backend.complete(model.inner, prompts, asked.asked.sampling))
        ranked: Sequence[Sequence[float]] = [()] * len(prompts)
        if asked.asked.top_logprobs is not None and model.labels:
            ranked = await self._away(lambda: backend.rank(model.inner, prompts, model.labels))
        choices = [
            _choice(asked.asked, generation, model.labels, probabilities, before=prompt if asked.echo else "")
            for prompt, generation, probabilities in zip(prompts, generations, ranked, strict=True)
            for _ in range(asked.asked.choices)
        ]
        said = self._said("cmpl-", asked.asked, choices, prompts=len(prompts))
        if asked.asked.stream:
            return Stream(said.completion_events(include_usage=asked.asked.include_usage), _EVENTS)
        return json_answer(said.completion())

    def _model(self, asked: Question, *, chat: bool) -> Trained:
        desk = self._desk
        with desk.lock:
            name = deployed(desk, asked.model) if desk.flavour.azure else asked.model
            model = desk.models.find(name, desk.now())
        kinds = (model.kind,) if model.kind is not None else desk.models.kinds(model.base)
        chats = not kinds or kinds != ("completion",)
        if chat and not chats:
            raise _wrong_call("This is not a chat model", here="v1/chat/completions", there="v1/completions")
        if not chat and kinds and "completion" not in kinds:
            raise _wrong_call("This is a chat model", here="v1/completions", there="v1/chat/completions")
        return model

    async def _away(self, work: Callable[[], _Result]) -> _Result:
        """Beside the server's loop, where the model takes its time."""
        return work() if self._desk.trainer.at_once else await asyncio.to_thread(work)

    def _said(self, prefix: str, asked: Question, choices: Sequence[Choice], *, prompts: int) -> Said:
        with self._desk.lock:
            name, now = self._desk.names.new(prefix), self._desk.now()
        return Said(name, asked.model, now, choices, prompts)


def _choice(
    asked: Question, generation: Generation, labels: Sequence[str], ranked: Sequence[float], *, before: str = ""
) -> Choice:
    scored = None
    if asked.top_logprobs is not None:
        known = dict(zip(labels, ranked, strict=True)) if ranked else {}
        scored = score(generation.text, known, top=asked.top_logprobs)
    return Choice(before + generation.text, generation, scored)


def _wrong_call(what: str, *, here: str, there: str) -> Refusal:
    message = f"{what} and thus not supported in the {here} endpoint. Did you mean to use {there}?"
    return Refusal(404, message, param="model")
