"""What an example asks and what it answers, as texts to be compared."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from finetune_kit.records import CompletionExample, Example, Message, PreferenceExample

_INSTRUCTIONS = frozenset({"system", "developer"})


def asked_and_answered(example: Example) -> tuple[str, str]:
    """Two texts; both empty where a part of the example is no text.

    What a system message says is the form of a conversation, not what is asked.
    """
    if isinstance(example, CompletionExample):
        return example.prompt, example.completion
    if isinstance(example, PreferenceExample):
        before, after = example.messages, (*example.preferred, *example.non_preferred)
    else:
        before, after = example.messages[:-1], example.messages[-1:]
    asked = _said(message for message in before if message.role not in _INSTRUCTIONS)
    answered = _said(after)
    return ("", "") if asked is None or answered is None else (asked, answered)


def instructions(example: Example) -> str:
    """What the system messages say."""
    if isinstance(example, CompletionExample):
        return ""
    return "\n".join(message.text for message in example.messages if message.role in _INSTRUCTIONS)


def _said(messages: Iterable[Message]) -> str | None:
    """What the messages say; None where some of it is no text."""
    texts: list[str] = []
    for message in messages:
        content = message.content
        if isinstance(content, list) and not all(isinstance(part, dict) and "text" in part for part in content):
            return None
        texts.append(message.text)
        texts += (_as_text(message.more[calls]) for calls in ("tool_calls", "function_call") if calls in message.more)
    return "\n".join(texts)


def _as_text(value: object) -> str:
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # numbers beyond 64 bits
        return repr(value)
