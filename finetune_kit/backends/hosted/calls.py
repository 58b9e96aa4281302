"""Questions to a model: the same bodies and the same readers for calls that block and calls that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from finetune_kit._clock import clock
from finetune_kit._retry import Retries, may_try_again
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.asking import JsonObject
from finetune_kit.backends.hosted.logprobs import logprobs_of
from finetune_kit.backends.hosted.objects import read_chat_generation, read_generation
from finetune_kit.backends.protocol import ChatMessages, Generation, JobState, Sampling
from finetune_kit.errors import ParameterError, RequestRefusedError, UnknownModelError
from finetune_kit.hosts import HostProfile
from finetune_kit.records import JsonValue

_MOST_STOPS = 4
_MOST_COMPLETION_LOGPROBS = 5
_SOON_SECONDS = 600.0
"""How long after its job's end a model may still be unknown to some of the host's machines."""


@dataclass(frozen=True, slots=True)
class Call:
    """One question to a model."""

    model: str
    sampling: Sampling
    prompt: str | None = None
    messages: ChatMessages | None = None
    more: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    told: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    """How this host is asked for the log-probabilities that the user wants."""

    def ask(self, habits: Habits) -> Ask:
        """The request for it."""
        chat = self.messages is not None
        body: dict[str, JsonValue] = {"model": self.model}
        if self.messages is not None:
            body["messages"] = [dict(message) for message in self.messages]
        else:
            body["prompt"] = self.prompt
        body |= _sampled(
            self.sampling, limit="max_completion_tokens" if chat and habits.new(self.model) else "max_tokens"
        )
        return Ask(
            method="POST",
            path="/chat/completions" if chat else "/completions",
            what=f"the model {self.model!r} cannot be asked",
            subject="model",
            name=self.model,
            body={**body, **self.told, **habits.more(self)},
        )

    def read(self, answer: JsonObject) -> Generation:
        """What the model wrote."""
        read = read_generation if self.messages is None else read_chat_generation
        generation = read(answer, self.sampling)
        most = self.sampling.top_logprobs
        if most is None:
            return generation
        told = logprobs_of(answer, most)
        if told is None and generation.completion_tokens:
            raise RequestRefusedError(
                f"the model {self.model!r} has answered without the log-probabilities that were asked for: this host "
                "or this model does not tell them. Ask without logprobs=.",
                parameter="logprobs",
            )
        return replace(generation, logprobs=told or ())


@dataclass(slots=True)
class Habits:
    """What was learned of models by asking them."""

    _new: set[str] = field(default_factory=set[str])
    _silent: set[str] = field(default_factory=set[str])
    _ended: dict[str, float] = field(default_factory=dict[str, float])

    def new(self, model: str) -> bool:
        """Whether it wants the limit of tokens under its newer name."""
        return model in self._new

    def learn(self, call: Call, error: RequestRefusedError) -> None:
        """Remember what a model does not take; the same call may then be another question."""
        said = f"{error.parameter} {error}"
        if call.messages is not None and "max_tokens" in said:
            self._new.add(call.model)
        if "logprobs" in call.more and "logprobs" in said:
            self._silent.add(call.model)

    def more(self, call: Call) -> dict[str, JsonValue]:
        """What a call holds besides, but for what its model does not take."""
        silent = call.model in self._silent
        return {key: value for key, value in call.more.items() if not (silent and key.endswith("logprobs"))}

    def saw(self, state: JobState) -> JobState:
        """Remember when a job's model came to be."""
        if state.fine_tuned_model is not None and state.fine_tuned_model not in self._ended:
            told = state.finished_at
            now = clock().now()
            self._ended[state.fine_tuned_model] = now if told is None else min(told.timestamp(), now)
        return state

    def retries(self, model: str) -> Retries:
        """How often a call is tried: one for a model that has just come to be waits until it is there."""
        fresh = clock().now() - self._ended.get(model, float("-inf")) < _SOON_SECONDS

        def worthwhile(error: BaseException) -> bool:
            return may_try_again(error) or (fresh and isinstance(error, UnknownModelError))

        return Retries(attempts=6 if fresh else 4, deadline_seconds=30.0, may_retry=worthwhile)


def prompts_asked(model: str, prompts: Sequence[str], sampling: Sampling) -> list[Call]:
    """A call for each prompt."""
    told: dict[str, JsonValue] = {}
    if sampling.top_logprobs is not None:
        _check_most(sampling.top_logprobs, _MOST_COMPLETION_LOGPROBS, "a model of prompts and completions")
        told["logprobs"] = sampling.top_logprobs
    return [Call(model, sampling, prompt=prompt, told=told) for prompt in prompts]


def chats_asked(
    model: str, conversations: Sequence[ChatMessages], sampling: Sampling, profile: HostProfile
) -> list[Call]:
    """A call for each conversation."""
    told: dict[str, JsonValue] = {}
    most = sampling.top_logprobs
    if most is not None:
        _check_most(most, profile.top_logprobs, "a model of conversations")
        if profile.counts_logprobs:
            told["logprobs"] = max(1, most)
        else:
            told["logprobs"] = True
            if most:
                told["top_logprobs"] = most
    return [Call(model, sampling, messages=messages, told=told) for messages in conversations]


def _check_most(asked: int, most: int, of: str) -> None:
    if asked > most:
        raise ParameterError(f"top_logprobs={asked}: of {of} this host tells at most {most}.", parameter="top_logprobs")


def with_logprobs(call: Call, profile: HostProfile) -> Call:
    """The same call, answered with the most probable tokens at each place: five of them, in a chat up to twenty."""
    told: dict[str, JsonValue] = {"logprobs": 5}
    if call.messages is not None:
        most = profile.top_logprobs
        told = {"logprobs": most} if profile.counts_logprobs else {"logprobs": True, "top_logprobs": most}
    return replace(call, more={**call.more, **told})


def _sampled(sampling: Sampling, *, limit: str) -> dict[str, JsonValue]:
    """Only what differs from every host's default, but the temperature, whose default is 1 there and 0 here."""
    body: dict[str, JsonValue] = {limit: sampling.max_tokens, "temperature": sampling.temperature}
    if sampling.top_p != 1:
        body["top_p"] = sampling.top_p
    if sampling.frequency_penalty:
        body["frequency_penalty"] = sampling.frequency_penalty
    if sampling.presence_penalty:
        body["presence_penalty"] = sampling.presence_penalty
    if sampling.stop:
        body["stop"] = list[JsonValue](sampling.stop[:_MOST_STOPS])
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.tools:
        body["tools"] = [dict(tool) for tool in sampling.tools]
    return body
