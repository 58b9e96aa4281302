"""The texts of an example, each with its place, as the rules about content read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from finetune_kit.records import ChatExample, CompletionExample, Example, Message, PreferenceExample, turns_of
from finetune_kit.rows import Batch

_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)


def texts_of(example: Example) -> list[tuple[str, str]]:
    """All that is read or learnt: prompt and completion, or every message with its refusal and its calls' arguments."""
    if isinstance(example, CompletionExample):
        return [("prompt", example.prompt), ("completion", example.completion)]
    found: list[tuple[str, str]] = []
    for where, message in turns_of(example):
        found.append((f"{where}.content", message.text))
        if message.more:
            found += [(f"{where}.{name}", text) for name, text in _beside_content(message)]
    return found


def written_texts_of(example: Example) -> list[tuple[str, str]]:
    """Only what people and the model say: neither instructions nor what tools are given and return."""
    if isinstance(example, CompletionExample):
        return texts_of(example)
    return [(f"{where}.content", turn.text) for where, turn in turns_of(example) if turn.role in ("user", "assistant")]


def answers_of(example: Example) -> list[tuple[str, str]]:
    """What the model learns to say."""
    if isinstance(example, CompletionExample):
        return [("completion", example.completion)]
    answers = [(f"{where}.content", turn.text) for where, turn in turns_of(example) if turn.role == "assistant"]
    if isinstance(example, PreferenceExample):
        return [(where, text) for where, text in answers if where.startswith("preferred_output")]
    return answers


def last_answers(batch: Batch) -> Sequence[str]:
    """The answer that ends each row; nothing where there is none."""
    if batch.kind == "completion":
        return batch.completions
    last = [turns[-1] if turns else None for turns in map(_answering, batch.examples)]
    return [turn.text if turn is not None and turn.role == "assistant" else "" for turn in last]


def answers_in(batch: Batch) -> list[tuple[int, str]]:
    """The number of the row and the text of each answer in conversations that the model learns."""
    return [
        (row, turn.text)
        for row, example in enumerate(batch.examples, batch.start)
        for turn in _answering(example)
        if turn.role == "assistant"
    ]


def without_code(text: str) -> str:
    """The text with blanks in place of code between backticks: every other character stays where it is."""
    return _CODE.sub(_blank, text) if "`" in text else text


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())


def _answering(example: Example) -> tuple[Message, ...]:
    """The messages among which the answers are."""
    if isinstance(example, ChatExample):
        return example.messages
    return example.preferred if isinstance(example, PreferenceExample) else ()


def _beside_content(message: Message) -> Iterator[tuple[str, str]]:
    """Texts in a message's other keys, which may hold anything."""
    refusal = message.more.get("refusal")
    if isinstance(refusal, str):
        yield "refusal", refusal
    yield from _arguments("function_call", message.more.get("function_call"))
    calls = message.more.get("tool_calls")
    for number, call in enumerate(calls if isinstance(calls, list) else ()):
        if isinstance(call, dict):
            yield from _arguments(f"tool_calls[{number}].function", call.get("function"))


def _arguments(where: str, call: object) -> Iterator[tuple[str, str]]:
    if isinstance(call, dict):
        arguments = cast("dict[str, Any]", call).get("arguments")
        if isinstance(arguments, str):
            yield f"{where}.arguments", arguments
