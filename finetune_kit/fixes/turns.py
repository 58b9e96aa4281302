"""Conversations put into the order that hosts want."""

from __future__ import annotations

from dataclasses import dataclass, replace

from finetune_kit.records import CompletionExample, Example, Message

_SPEAKERS = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class MergeTurns:
    """Texts that one speaker gives in several turns on end become one turn; turns with other keys stay apart."""

    between: str = "\n\n"
    """What stands between the texts."""

    code = "chat_order"
    safe = False
    description = "make one turn of several on end by the same speaker"

    def mend(self, example: Example) -> Example:
        """The example with such turns as one."""
        if isinstance(example, CompletionExample):
            return example
        merged: list[Message] = []
        for message in example.messages:
            if merged and _of_a_piece(merged[-1], message):
                merged[-1] = replace(message, content=f"{merged[-1].content}{self.between}{message.content}")
            else:
                merged.append(message)
        return example if len(merged) == len(example.messages) else replace(example, messages=tuple(merged))


def _of_a_piece(first: Message, second: Message) -> bool:
    return (
        first.role == second.role
        and first.role in _SPEAKERS
        and not first.more
        and not second.more
        and isinstance(first.content, str)
        and isinstance(second.content, str)
    )
