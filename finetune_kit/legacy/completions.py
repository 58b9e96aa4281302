"""`Completion`: a model goes on from a prompt, which is sent as it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Unpack

from finetune_kit.backends import Backend, Generation, Sampling
from finetune_kit.cards import ModelCard
from finetune_kit.errors import UnknownModelError
from finetune_kit.hosts.closing import warn_of_closing
from finetune_kit.legacy.asking import many, model_name, refuse, reply_to_call, sampling_of, texts, usage
from finetune_kit.legacy.asynchronous import in_thread
from finetune_kit.legacy.calling import old_call
from finetune_kit.legacy.replies import Parts, Reply
from finetune_kit.legacy.settings import Transport, connection
from finetune_kit.templates import PromptTemplate

_INSTEAD = {
    "suffix": "Models here go on from a text; they fill none in.",
    "logprobs": "For the probability of labels: finetune_kit.ModelClient(model).classify(text).",
    "logit_bias": "To allow certain answers only: finetune_kit.ModelClient(model).classify(text, labels=[...]).",
    "best_of": "Ask for n= answers and choose.",
}


@old_call("Completion.create")
def _create(
    *,
    model: str | None = None,
    prompt: str | Sequence[str] = "",
    suffix: str | None = None,
    max_tokens: int | None = 16,
    temperature: float | None = 1,
    top_p: float | None = 1,
    n: int | None = 1,
    stream: bool | None = False,
    logprobs: int | None = None,
    echo: bool | None = False,
    stop: str | Sequence[str] | None = None,
    presence_penalty: float | None = 0,
    frequency_penalty: float | None = 0,
    best_of: int | None = None,
    logit_bias: Mapping[str, float] | None = None,
    user: str | None = None,  # noqa: ARG001 - for the host's own records then
    engine: str | None = None,
    deployment_id: str | None = None,
    timeout: float | None = None,  # noqa: ARG001 - how long to wait for a model to warm up
    **call: Unpack[Transport],
) -> Any:
    """What the model writes behind each prompt, with the defaults of 2023: 16 tokens at temperature 1.

    With `stream=True` an iterator of the same replies, each with one whole choice.
    """
    refuse(
        instead=_INSTEAD,
        suffix=suffix,
        logprobs=None if logprobs is None else str(logprobs),
        logit_bias=logit_bias,
        best_of=None if best_of in (None, n or 1) else best_of,
    )
    each, prompts = many(n), texts(prompt, "prompt")
    tokens = 16 if max_tokens is None else max_tokens
    sampling = sampling_of(tokens, temperature, top_p, frequency_penalty, presence_penalty, stop)
    backend = connection(call).backend
    name = model_name(backend, model, engine or deployment_id)
    asked = [one for one in prompts for _ in range(each)]
    written = _written(backend, name, asked, sampling)
    choices = [
        {
            "text": f"{before if echo else ''}{one.text}",
            "index": index,
            "logprobs": None,
            "finish_reason": one.finish_reason,
        }
        for index, (before, one) in enumerate(zip(asked, written, strict=True))
    ]
    whole = reply_to_call("text_completion", "cmpl", name, choices, usage=usage(written, each=each))
    return Parts(_streamed(whole)) if stream else whole


def _streamed(whole: Reply) -> Iterator[Reply]:
    for choice in whole.choices:
        yield Reply({**whole, "choices": [choice]})


def _written(backend: Backend, model: str, prompts: Sequence[str], sampling: Sampling) -> list[Generation]:
    if not prompts:
        return []
    card = _card(backend, model)
    if card is not None:
        warn_of_closing(backend.profile, base=card.base, model=model)
    if card is None or _goes_on(backend, card):
        return backend.complete(model, prompts, sampling)
    marks = card.taken_off or PromptTemplate(separator="", stop="", leading_space=False)
    asked = [prompt.removesuffix(marks.separator) for prompt in prompts]
    answers = backend.chat(model, [[{"role": "user", "content": prompt}] for prompt in asked], sampling)
    return [replace(one, text=f" {one.text}") for one in answers] if marks.leading_space else answers


def _card(backend: Backend, model: str) -> ModelCard | None:
    try:
        return backend.card(model)
    except UnknownModelError:
        return None  # the backend may know it for calls alone, or says so itself


def _goes_on(backend: Backend, card: ModelCard) -> bool:
    """Whether the model takes a prompt as it is; else it is asked as a user asks."""
    if card.template is not None or card.kind == "completion":  # without one, another program trained it
        return True
    kinds = backend.profile.kinds_of(card.base)
    return card.name == card.base and (not kinds or "completion" in kinds)


class Completion:
    """What a model writes behind a prompt."""

    create, acreate = staticmethod(_create), staticmethod(in_thread(_create))
