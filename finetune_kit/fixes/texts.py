"""The texts of an example, and the example with other texts in their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeAlias

from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message

Where: TypeAlias = Literal["all", "prompt", "completion"]
"""Which texts: in a conversation the assistant's are the completion, all others the prompt."""


def with_texts(example: Example, change: Callable[[str], str], where: Where = "all") -> Example:
    """The example with each of its texts changed; the same object where none is.

    Roles, names, tool calls, metadata and all parts of a message that are not text stay as they are.
    """
    if isinstance(example, CompletionExample):
        prompt = example.prompt if where == "completion" else change(example.prompt)
        completion = example.completion if where == "prompt" else change(example.completion)
        if prompt == example.prompt and completion == example.completion:
            return example
        return CompletionExample(prompt, completion, example.metadata)
    messages = _turns(example.messages, change, where)
    if isinstance(example, ChatExample):
        return example if messages is example.messages else replace(example, messages=messages)
    preferred = _turns(example.preferred, change, where)
    other = _turns(example.non_preferred, change, where)
    if messages is example.messages and preferred is example.preferred and other is example.non_preferred:
        return example
    return replace(example, messages=messages, preferred=preferred, non_preferred=other)


def _turns(messages: tuple[Message, ...], change: Callable[[str], str], where: Where) -> tuple[Message, ...]:
    changed = [_turn(message, change) if _is_meant(message, where) else message for message in messages]
    return messages if all(new is old for new, old in zip(changed, messages, strict=True)) else tuple(changed)


def _is_meant(message: Message, where: Where) -> bool:
    return where == "all" or (message.role == "assistant") == (where == "completion")


def _turn(message: Message, change: Callable[[str], str]) -> Message:
    content = message.content
    if content is None:
        return message
    new = change(content) if isinstance(content, str) else [_part(part, change) for part in content]
    return message if new == content else replace(message, content=new)


def _part(part: JsonValue, change: Callable[[str], str]) -> JsonValue:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(text := part.get("text"), str):
        return {**part, "text": change(text)}
    return part
