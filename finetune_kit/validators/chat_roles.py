"""Who speaks in a conversation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.records import ChatExample
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity

KNOWN_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""Who can speak."""

_LEARNT = "The model learns the assistant's messages: end each conversation with the answer it should give."


@dataclass(frozen=True, slots=True)
class ChatRoles:
    """Every role is known, and the conversation ends with the assistant, whose turns are what is learnt.

    Bad:  `[{"role": "user", "content": "Hello"}]`, `[{"role": "bot", "content": "Hello"}]`
    Good: `[{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "How can I help?"}]`
    """

    code = "chat_roles"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each unknown role, and one where the assistant is missing or not the last."""
        return [
            issue
            for row, example in enumerate(batch.examples if batch.kind == "chat" else (), batch.start)
            if isinstance(example, ChatExample)
            for issue in self._judge(row, [message.role for message in example.messages])
        ]

    def _judge(self, row: int, roles: list[str]) -> list[Issue]:
        found = [self._unknown(row, place, role) for place, role in enumerate(roles) if role not in KNOWN_ROLES]
        if "assistant" not in roles:
            found.append(self._error(row, "no message is by the assistant", "messages", _LEARNT))
        elif (last := roles[-1]) != "assistant":
            message = f"the last message is by {quoted(last)}, not by the assistant"
            found.append(self._error(row, message, f"messages[{len(roles) - 1}].role", _LEARNT))
        return found

    def _unknown(self, row: int, place: int, role: str) -> Issue:
        hint = f"The roles are {', '.join(KNOWN_ROLES)}."
        return self._error(row, f"{quoted(role)} is not a role", f"messages[{place}].role", hint)

    def _error(self, row: int, message: str, field: str, hint: str) -> Issue:
        return Issue(self.code, Severity.ERROR, message, row=row, field=field, hint=hint)
