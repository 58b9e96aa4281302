"""Who speaks in a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import INSTRUCTING_ROLES, Fault, conversations
from finetune_kit.validators.issue import Issue

KNOWN_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
"""Who can speak."""

_ROLES = f"The roles are {', '.join(KNOWN_ROLES)}."
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
        if batch.kind != "chat":
            return ()
        every = batch.view(conversations).roles
        wrong = {roles: faults for roles in set(every) if (faults := _judge(roles))}
        if not wrong:
            return ()
        return [
            fault.issue(self.code, row)
            for row, roles in enumerate(every, batch.start)
            if roles in wrong
            for fault in wrong[roles]
        ]


def unknown_roles(roles: Sequence[str], name: str) -> list[Fault]:
    """One fault for each role that nobody knows, in the list of messages of that name."""
    return [
        Fault(f"{quoted(role)} is not a role", f"{name}[{place}].role", _ROLES)
        for place, role in enumerate(roles)
        if role not in KNOWN_ROLES
    ]


def _judge(roles: tuple[str, ...]) -> list[Fault]:
    if not roles:
        return [Fault("the conversation has no messages", "messages", "Write it, or drop the row.")]
    found = unknown_roles(roles, "messages")
    if all(role in INSTRUCTING_ROLES for role in roles):
        found.append(Fault("there are only instructions, no question and no answer", "messages", _LEARNT))
    elif "assistant" not in roles:
        found.append(Fault("no message is by the assistant", "messages", _LEARNT))
    elif (last := roles[-1]) != "assistant":
        message = f"the last message is by {quoted(last)}, not by the assistant"
        found.append(Fault(message, f"messages[{len(roles) - 1}].role", _LEARNT))
    return found
