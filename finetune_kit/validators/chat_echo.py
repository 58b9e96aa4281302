"""Answers that only say the question again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import eq

from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Conversation, conversations, row_field
from finetune_kit.validators.issue import Issue, Severity


@dataclass(frozen=True, slots=True)
class EchoedQuestion:
    """An assistant that repeats the user word for word teaches the model to do so, mostly by a slip in the export.

    Bad:  `{"role": "assistant", "content": "Where is my parcel?"}` after just this question by the user
    Good: `{"role": "assistant", "content": "At your neighbour's."}`
    """

    code = "echoed_question"
    fewest_bytes: int = 16
    """In UTF-8, six Chinese characters or sixteen letters: people really do answer "Hello" with "Hello"."""

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each such answer."""
        found = batch.view(conversations)
        if found.texts is not None and not any(map(eq, found.texts, found.texts[1:])):
            return ()
        return [
            Issue(
                self.code,
                Severity.WARNING,
                "the assistant only repeats the user's message",
                row=row,
                field=f"{row_field(example, 'messages')}[{place}].content",
                hint="Write the answer that the model should give, or drop the row.",
            )
            for row, example in found.rows
            if _has_neighbours_alike(example)
            for place in range(1, len(example.messages))
            if self._is_echo(example, place)
        ]

    def _is_echo(self, example: Conversation, place: int) -> bool:
        asked, answer = example.messages[place - 1 : place + 1]
        text = answer.text.strip()
        return (
            asked.role == "user"
            and answer.role == "assistant"
            and len(text.encode(errors="replace")) >= self.fewest_bytes
            and text == asked.text.strip()
        )


def _has_neighbours_alike(example: Conversation) -> bool:
    contents = [message.content for message in example.messages]
    return any(map(eq, contents, contents[1:]))
