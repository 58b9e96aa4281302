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
    return _with(example, lambda message: _turn(message, change), change, where)


def with_all_texts(example: Example, change: Callable[[str], str], arguments: Callable[[str], str]) -> Example:
    """The same with refusals and the arguments of calls changed as well, which the rules about content read too."""
    return _with(example, lambda message: _beside_content(_turn(message, change), change, arguments), change, "all")


def _with(example: Example, turn: Callable[[Message], Message], change: Callable[[str], str], where: Where) -> Example:
    if isinstance(example, CompletionExample):
        prompt = example.prompt if where == "completion" else change(example.prompt)
        completion = example.completion if where == "prompt" else change(example.completion)
        if prompt == example.prompt and completion == example.completion:
            return example
        return CompletionExample(prompt, completion, example.metadata)
    messages = _turns(example.messages, turn, where)
    if isinstance(example, ChatExample):
        return example if messages is example.messages else replace(example, messages=messages)
    preferred = _turns(example.preferred, turn, where)
    other = _turns(example.non_preferred, turn, where)
    if messages is example.messages and preferred is example.preferred and other is example.non_preferred:
        return example
    return replace(example, messages=messages, preferred=preferred, non_preferred=other)


def _turns(messages: tuple[Message, ...], turn: Callable[[Message], Message], where: Where) -> tuple[Message, ...]:
    changed = [turn(message) if _is_meant(message, where) else message for message in messages]
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


def _beside_content(message: Message, change: Callable[[str], str], arguments: Callable[[str], str]) -> Message:
    more = dict(message.more)
    if isinstance(refusal := more.get("refusal"), str):
        more["refusal"] = change(refusal)
    if "function_call" in more:
        more["function_call"] = _call(more["function_call"], arguments)
    if isinstance(calls := more.get("tool_calls"), list):
        more["tool_calls"] = [
            {**call, "function": _call(call["function"], arguments)}
            if isinstance(call, dict) and "function" in call
            else call
            for call in calls
        ]
    return message if more == message.more else replace(message, more=more)


def _call(call: JsonValue, change: Callable[[str], str]) -> JsonValue:
    if isinstance(call, dict) and isinstance(arguments := call.get("arguments"), str):
        return {**call, "arguments": change(arguments)}
    return call
