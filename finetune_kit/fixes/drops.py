"""Rows that teach nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit._arguments import whole_number
from finetune_kit.records import ChatExample, CompletionExample, Example, Message, turns_of
from finetune_kit.rows import BLANK_COMPLETION, NOTHING_ASKED, Batch, Rows

# What an assistant's turn may hold in place of words.
_INSTEAD_OF_TEXT = ("tool_calls", "function_call", "refusal", "audio")

# As it stands in JSON: nothing, parts, or a text that begins with one of the characters of white space.
_WORDLESS = re.compile(
    rb'"content":(?:null|\[|"(?:["\\ ]|\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2(?:\x80|\x81\x9f)|\xe3\x80\x80))|"messages":\[\]'
)


@dataclass(frozen=True, slots=True)
class EmptyCompletions:
    """Rows whose completion is empty or only white space are dropped."""

    code = "empty_completion"
    safe = True
    description = "drop the row"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Just those rows, known since they were read."""
        return batch.flagged(BLANK_COMPLETION)

    def drops(self, example: Example) -> bool:
        """Whether there is nothing to learn."""
        return isinstance(example, CompletionExample) and not example.completion.strip()


@dataclass(frozen=True, slots=True)
class EmptyConversations:
    """Conversations in which the assistant never says or does anything are dropped.

    One without a turn by the assistant is left: it was cut off, or the roles have other names.
    """

    code = "empty_message"
    safe = True
    description = "drop a conversation in which the assistant says nothing"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Rows with a message that holds nothing, white space, or parts, and those without any."""
        return batch.raw.rows(_WORDLESS) if batch.kind == "chat" else ()

    def drops(self, example: Example) -> bool:
        """Whether there is nothing to learn."""
        if not isinstance(example, ChatExample):
            return False
        answers = [message for message in example.messages if message.role == "assistant"]
        return (bool(answers) or not example.messages) and not any(map(_says, answers))


def _says(message: Message) -> bool:
    # A part that is not text, such as a refusal, is an answer too.
    if isinstance(message.content, list) and any(
        not isinstance(part, dict) or part.get("type") != "text" for part in message.content
    ):
        return True
    return bool(message.text.strip()) or any(message.more.get(key) for key in _INSTEAD_OF_TEXT)


@dataclass(frozen=True, slots=True)
class EmptyPrompts:
    """Rows whose prompt is empty or only white space are dropped; not where all are, which is open-ended generation."""

    code = "empty_prompt"
    safe = False
    description = "drop the row"

    def plan(self, rows: Rows) -> Iterator[tuple[int, None]]:
        """Each of them, known since they were read."""
        asked = [not flag & NOTHING_ASKED for flag in rows.flags()] if rows.kind == "completion" else []
        return ((row, None) for row, is_asked in enumerate(asked if any(asked) else ()) if not is_asked)


@dataclass(frozen=True, slots=True)
class LongExamples:
    """Rows with more characters than this, all their texts together, are dropped."""

    max_characters: int

    code = "long_example"
    safe = False
    description = "drop the row"

    def __post_init__(self) -> None:
        whole_number("max_characters", self.max_characters, 1)

    def drops(self, example: Example) -> bool:
        """Whether it is longer."""
        if isinstance(example, CompletionExample):
            return len(example.prompt) + len(example.completion) > self.max_characters
        return sum(len(message.text) for _, message in turns_of(example)) > self.max_characters
