"""`ChatCompletion`: a model answers a conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Unpack, cast

from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.client import Completion, ModelClient
from finetune_kit.legacy.asking import many, model_name, refuse, reply_to_call, sampling_of, usage
from finetune_kit.legacy.asynchronous import in_thread
from finetune_kit.legacy.calling import old_call
from finetune_kit.legacy.replies import Parts, Reply
from finetune_kit.legacy.settings import Transport, connection

_LONG_ANSWER = 1024
"""Then an answer ended with the model's context, which is not to be waited for on this machine."""
_INSTEAD = {
    "functions": "Call the host with the openai package of today; tools are not called from here.",
    "function_call": "Call the host with the openai package of today; tools are not called from here.",
    "logit_bias": "To allow certain answers only: finetune_kit.ModelClient(model).classify(text, labels=[...]).",
}


@old_call("ChatCompletion.create")
def _create(
    *,
    model: str | None = None,
    messages: ChatMessages | None = None,
    functions: Sequence[object] | None = None,
    function_call: object = None,
    temperature: float | None = 1,
    top_p: float | None = 1,
    n: int | None = 1,
    stream: bool | None = False,
    stop: str | Sequence[str] | None = None,
    max_tokens: int | None = None,
    presence_penalty: float | None = 0,
    frequency_penalty: float | None = 0,
    logit_bias: Mapping[str, float] | None = None,
    user: str | None = None,  # noqa: ARG001 - for the host's own records then
    engine: str | None = None,
    deployment_id: str | None = None,
    timeout: float | None = None,  # noqa: ARG001 - how long to wait for a model to warm up
    **call: Unpack[Transport],
) -> Any:
    """The model's answer, with the defaults of 2023: temperature 1; here at most 1,024 tokens unless told otherwise.

    With `stream=True` an iterator of deltas, in which each answer comes as a whole.
    """
    refuse(instead=_INSTEAD, functions=functions, function_call=function_call, logit_bias=logit_bias)
    tokens = _LONG_ANSWER if max_tokens is None else max_tokens
    asked = sampling_of(tokens, temperature, top_p, frequency_penalty, presence_penalty, stop)
    backend = connection(call).backend
    name = model_name(backend, model, engine or deployment_id)
    client = ModelClient(name, backend)
    answers = [
        client.chat(
            cast("ChatMessages", messages),
            temperature=asked.temperature,
            max_tokens=asked.max_tokens,
            top_p=asked.top_p,
            frequency_penalty=asked.frequency_penalty,
            presence_penalty=asked.presence_penalty,
            stop=asked.stop,
        )
        for _ in range(many(n))
    ]
    choices = [
        {"index": index, "message": _message(one), "finish_reason": one.finish_reason}
        for index, one in enumerate(answers)
    ]
    tokens_used = usage([one.generation for one in answers], each=len(answers))
    whole = reply_to_call("chat.completion", "chatcmpl", name, choices, usage=tokens_used)
    return Parts(_streamed(whole)) if stream else whole


def _message(answer: Completion) -> dict[str, object]:
    calls = [call.content() for call in answer.tool_calls]
    return {"role": "assistant", "content": str(answer), **({"tool_calls": calls} if calls else {})}


def _streamed(whole: Reply) -> Iterator[Reply]:
    for choice in whole.choices:
        for delta, reason in ((choice.message, None), (Reply(), choice.finish_reason)):
            part = Reply(index=choice.index, delta=delta, finish_reason=reason)
            kept = {name: whole[name] for name in ("id", "created", "model")}
            yield Reply(kept, object="chat.completion.chunk", choices=[part])


class ChatCompletion:
    """What a model answers to a conversation."""

    create, acreate = staticmethod(_create), staticmethod(in_thread(_create))
