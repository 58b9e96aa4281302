"""An example as the stretches of text that a hosted model sees, each trained on or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message
from finetune_kit.tokens.span import Span, Use, as_text
from finetune_kit.tokens.tools import tool_spans

MESSAGE_TOKENS = 3
"""Around each message, by OpenAI's published count; also what primes the answer."""
_NAME_TOKENS = 1


def layout(example: Example, *, tool_tokens: int = 7) -> Iterator[Span]:
    """All of an example in order; `tool_tokens` stand around each tool, by model family.

    Messages are counted as OpenAI publishes it: 3 tokens around each, 1 for a name, 3 that prime the answer. How calls
    of tools are wrapped is not published; a call is counted like a message.
    """
    if isinstance(example, CompletionExample):
        return iter((Span(example.prompt, "context", "prompt"), Span(example.completion, "trained", "completion")))
    return _conversation(example, tool_tokens)


def as_conversation(example: CompletionExample) -> ChatExample:
    """A prompt and its completion as a model that takes chats alone would learn them."""
    return ChatExample(
        (Message("user", example.prompt), Message("assistant", example.completion)), {}, example.metadata
    )


def _conversation(example: Example, tool_tokens: int) -> Iterator[Span]:
    if isinstance(example, CompletionExample):
        return
    for key in ("tools", "functions"):
        if key in example.more:
            yield from tool_spans(example.more[key], key, around=tool_tokens)
    # Of a preference pair both answers enter the loss; the turns before them do not.
    learns = isinstance(example, ChatExample)
    for number, message in enumerate(example.messages):
        yield from _message(message, f"messages[{number}]", learns=learns)
    if not isinstance(example, ChatExample):
        for name, turns in (("preferred_output", example.preferred), ("non_preferred_output", example.non_preferred)):
            for number, message in enumerate(turns):
                yield from _message(message, f"{name}[{number}]", learns=True)
    yield Span("", "special", "priming", MESSAGE_TOKENS)


def _message(message: Message, where: str, *, learns: bool) -> Iterator[Span]:
    yield Span(message.role, "special", f"{where}.role", MESSAGE_TOKENS)
    more = message.more
    use: Use = "trained" if learns and message.role == "assistant" and more.get("weight", 1) != 0 else "context"
    name = more.get("name")
    if isinstance(name, str):
        yield Span(name, "context", f"{where}.name", _NAME_TOKENS)
    yield from _content(message.content, use, f"{where}.content")
    refusal = more.get("refusal")
    if isinstance(refusal, str):
        yield Span(refusal, use, f"{where}.refusal")
    calls = more.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else [] if calls is None else [calls]):
        function = call.get("function") if isinstance(call, dict) else None
        yield from _call(call if function is None else function, use, f"{where}.tool_calls[{number}]")
    if more.get("function_call") is not None:
        yield from _call(more["function_call"], use, f"{where}.function_call")


def _content(content: str | list[JsonValue] | None, use: Use, where: str) -> Iterator[Span]:
    if not isinstance(content, list):
        yield Span(content or "", use, where)
        return
    for number, part in enumerate(content):
        place = f"{where}[{number}]"
        text = part.get("text", part.get("refusal")) if isinstance(part, dict) else part
        if isinstance(text, str):
            yield Span(text, use, place)
        else:
            yield Span("", use, place, uncounted=1)


def _call(call: JsonValue, use: Use, where: str) -> Iterator[Span]:
    if not isinstance(call, Mapping):
        yield Span(as_text(call), use, where, MESSAGE_TOKENS)
        return
    yield Span(as_text(call.get("name")), use, f"{where}.name", MESSAGE_TOKENS)
    yield Span(as_text(call.get("arguments")), use, f"{where}.arguments")
