"""In which order the turns of a conversation stand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import (
    INSTRUCTING_ROLES,
    Conversation,
    Fault,
    conversations,
    is_given,
    row_field,
)
from finetune_kit.validators.issue import Issue, Severity

_MERGED_ROLES = ("system", "developer", "user", "assistant")


@dataclass(frozen=True, slots=True)
class ChatOrder:
    """A conversation is instructions, then turns by user and assistant, who take them one after the other.

    Hosts take other orders; the chat templates of many open models refuse them or lose a message.

    Bad:  `[{"role": "user", …}, {"role": "user", …}, {"role": "assistant", …}]`, or a system message in the middle
    Good: `[{"role": "system", …}, {"role": "user", …}, {"role": "assistant", …}]`
    """

    code = "chat_order"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """At most one warning of each kind in a row, at its first place."""
        found = batch.view(conversations)
        odd = {roles for roles in set(found.roles) if _is_odd(roles)}
        if not odd:
            return ()
        return [
            fault.issue(self.code, row)
            for (row, example), roles in zip(found.rows, found.roles, strict=True)
            if roles in odd
            for fault in _judge(example, roles)
        ]


def _is_odd(roles: tuple[str, ...]) -> bool:
    turns = [role for role in roles if role not in INSTRUCTING_ROLES]
    return (
        turns[:1] == ["assistant"]
        or _late_instruction(roles) is not None
        or any(one == other for one, other in pairwise(roles) if one in _MERGED_ROLES)
    )


def _late_instruction(roles: tuple[str, ...]) -> int | None:
    begun = False
    for place, role in enumerate(roles):
        if role not in INSTRUCTING_ROLES:
            begun = True
        elif begun:
            return place
    return None


def _judge(example: Conversation, roles: tuple[str, ...]) -> list[Fault]:
    name = row_field(example, "messages")
    found: list[Fault] = []
    first = next((place for place, role in enumerate(roles) if role not in INSTRUCTING_ROLES), None)
    if first is not None and roles[first] == "assistant":
        hint = "Put the question before it, unless the assistant really opens the conversation where it is used."
        found.append(_warning("the assistant speaks first", f"{name}[{first}]", hint))
    late = _late_instruction(roles)
    if late is not None:
        message = f"a {roles[late]} message stands after the conversation has begun"
        found.append(_warning(message, f"{name}[{late}]", "Put all instructions first, in one message."))
    twice = next((place for place in range(1, len(roles)) if _repeats(example, place)), None)
    if twice is not None:
        message = f"two messages in a row are by {roles[twice]}"
        found.append(_warning(message, f"{name}[{twice}]", "Merge them into one message."))
    return found


def _repeats(example: Conversation, place: int) -> bool:
    """Whether a turn and the one before are by the same speaker; what follows a call is for `ToolCalls` to judge."""
    before, turn = example.messages[place - 1 : place + 1]
    if before.role != turn.role or turn.role not in _MERGED_ROLES:
        return False
    return not (is_given(before.more.get("tool_calls")) or is_given(before.more.get("function_call")))


def _warning(message: str, field: str, hint: str) -> Fault:
    return Fault(message, field, hint, Severity.WARNING)
