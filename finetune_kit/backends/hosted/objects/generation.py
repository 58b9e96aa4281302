"""What a model wrote, as a host sends it: by the completions API and by the chat API."""

from __future__ import annotations

from typing import Literal

from finetune_kit.backends.hosted.objects.tool_call import read_tool_calls
from finetune_kit.backends.hosted.objects.values import Members, count, first, members
from finetune_kit.backends.protocol import Generation, Sampling
from finetune_kit.backends.tool_calls import ToolCall
from finetune_kit.errors import HostReplyError, RequestRefusedError
from finetune_kit.records import JsonValue


def read_generation(value: JsonValue, sampling: Sampling) -> Generation:
    """The first choice of a completion, up to the first of all stop sequences."""
    written = _first_choice(value).get("text")
    if not isinstance(written, str):
        raise HostReplyError("the host's answer is no completion: its choice has no 'text'.")
    return _generation(value, written, sampling)


def read_chat_generation(value: JsonValue, sampling: Sampling) -> Generation:
    """The first choice of a chat, with the tools that the model calls besides or instead."""
    message = members(_first_choice(value).get("message"))
    content = message.get("content")
    if isinstance(content, list):
        parts = [members(part).get("text") for part in content]
        content = "".join(part for part in parts if isinstance(part, str))
    refusal = message.get("refusal")
    if content is None:
        content = refusal if isinstance(refusal, str) else ""
    if not message or not isinstance(content, str):
        raise HostReplyError("the host's answer is no chat completion: its choice has no 'message' with a text.")
    return _generation(value, content, sampling, calls=read_tool_calls(message))


def cut(text: str, stops: tuple[str, ...]) -> str:
    """`text` up to the first stop sequence; hosts take four of them, and some ignore them."""
    end = end_of(text, stops)
    return text if end is None else text[:end]


def end_of(text: str, stops: tuple[str, ...]) -> int | None:
    """Where the stop sequence begins that is complete first, as hosts stop while they write; None without any."""
    found = [(place + len(stop), place) for stop in stops if (place := text.find(stop)) >= 0]
    return min(found)[1] if found else None


def _first_choice(value: JsonValue) -> Members:
    choice = members(first(members(value).get("choices")))
    if not choice:
        raise HostReplyError("the host's answer holds nothing that a model wrote: it has no 'choices'.")
    return choice


def _generation(value: JsonValue, written: str, sampling: Sampling, *, calls: tuple[ToolCall, ...] = ()) -> Generation:
    text = cut(written, sampling.stop)
    usage = members(members(value).get("usage"))
    reason = _finish_reason(_first_choice(value).get("finish_reason"), stopped=len(text) < len(written))
    return Generation(
        text=text,
        finish_reason="tool_calls" if calls and reason == "stop" else reason,
        prompt_tokens=count(usage.get("prompt_tokens")) or 0,
        completion_tokens=count(usage.get("completion_tokens")) or 0,
        tool_calls=calls,
    )


def _finish_reason(value: JsonValue, *, stopped: bool) -> Literal["stop", "length"]:
    if value == "content_filter" and not stopped:
        raise RequestRefusedError(
            "the host's content filter cut off what the model wrote. Ask otherwise, or see the host's content policy.",
            code="content_filter",
        )
    return "length" if value == "length" and not stopped else "stop"
