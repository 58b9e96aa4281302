"""Messages that should not be learnt, on hosts that learn them all the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit.hosts import HostProfile
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Fault, special_turns
from finetune_kit.validators.issue import Issue


@dataclass(frozen=True, slots=True)
class UnheededWeight:
    """Some hosts know no weights: there every answer is learnt, also one that has weight 0.

    Bad:  `{"role": "assistant", "content": "No", "weight": 0}` for such a host
    Good: the same conversation without that answer, or with the rest of it
    """

    host: HostProfile

    code = "unheeded_weight"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """An error for each answer of weight 0."""
        return [
            self._fault(where).issue(self.code, row)
            for row, where, message in batch.view(special_turns)
            if message.role == "assistant" and type(message.more.get("weight")) in {int, float}
            if message.more["weight"] == 0
        ]

    def _fault(self, where: str) -> Fault:
        return Fault(
            f"{self.host.name!r} knows no weights and would learn this answer, whose weight is 0 ({self.host.as_of})",
            f"{where}.weight",
            "Take the answer out of the conversation, drop the row, or train on a host that knows weights, such as "
            "'openai' or 'local'.",
        )
