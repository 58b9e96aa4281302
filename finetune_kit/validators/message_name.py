"""What the speakers are called."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit._quoting import described
from finetune_kit.records import JsonValue
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Fault, special_turns
from finetune_kit.validators.issue import Issue

_FORBIDDEN = re.compile(r"[\s<|\\/>]")


@dataclass(frozen=True, slots=True)
class MessageName:
    r"""A message's `name` tells speakers of one role apart; it is up to 64 characters without white space or `<|\/>`.

    The pattern and the length are those of OpenAI's API, which tells them when it refuses a name.

    Bad:  `{"role": "user", "name": "Ann Miller", "content": "Hello"}`
    Good: `{"role": "user", "name": "Ann_Miller", "content": "Hello"}`
    """

    longest: int = 64

    code = "message_name"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each name that hosts refuse."""
        return [
            fault.issue(self.code, row)
            for row, where, message in batch.view(special_turns)
            if message.more.get("name") is not None
            for fault in self._judge(message.more["name"], f"{where}.name")
        ]

    def _judge(self, name: JsonValue, field: str) -> list[Fault]:
        if not isinstance(name, str):
            return [Fault(f"the name is {described(name)}, not text", field, "Write it as text, or leave it out.")]
        if not name:
            return [Fault("the name is empty", field, "Leave it out.")]
        found: list[Fault] = []
        if len(name) > self.longest:
            hint = "Shorten it, or leave it out."
            found.append(Fault(f"the name is longer than {self.longest} characters", field, hint))
        if _FORBIDDEN.search(name):
            hint = "Write _ in their place, or leave the name out."
            found.append(Fault("the name holds white space or one of < | \\ / >", field, hint))
        return found
