"""Which of the assistant's messages are learnt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from finetune_kit._quoting import described, quoted
from finetune_kit.records import ChatExample, JsonValue
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Fault, conversations, special_turns
from finetune_kit.validators.issue import Issue, Severity

_VALUES = (
    "Write 1 without quotes where the message is to be learnt, which is also what counts without a weight, else 0."
)


@dataclass(frozen=True, slots=True)
class MessageWeight:
    """`weight` is 1 on the assistant's messages that are learnt and 0 on the others; one at least must be learnt.

    Bad:  `{"role": "assistant", "content": "Yes", "weight": 0.5}`, or 0 on every message by the assistant
    Good: `{"role": "assistant", "content": "Yes", "weight": 0}` before another answer without it
    """

    code = "message_weight"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """An error for each wrong value and each row that teaches nothing, a warning for a weight without effect."""
        found = [
            fault.issue(self.code, row)
            for row, where, message in batch.view(special_turns)
            if message.more.get("weight") is not None
            for fault in _judge(message.role, message.more["weight"], f"{where}.weight")
        ]
        if batch.kind == "chat":
            found += [
                Fault(
                    "every message by the assistant has weight 0, so nothing is learnt",
                    "messages",
                    "Give the answers that the model should learn weight 1, or drop the row.",
                ).issue(self.code, row)
                for row, example in batch.view(conversations).special
                if isinstance(example, ChatExample) and _teaches_nothing(example)
            ]
        return found


def _judge(role: str, weight: JsonValue, field: str) -> list[Fault]:
    found: list[Fault] = []
    if type(weight) is not int or weight not in (0, 1):
        what = f"the text {quoted(weight)}" if isinstance(weight, str) else described(weight)
        found.append(Fault(f"the weight is {what}, neither 0 nor 1", field, _VALUES))
    if role != "assistant":
        hint = "Leave it out: the model learns the assistant's messages only."
        found.append(Fault("the weight of a message that is not the assistant's", field, hint, Severity.WARNING))
    return found


def _teaches_nothing(example: ChatExample) -> bool:
    weights = [message.more.get("weight") for message in example.messages if message.role == "assistant"]
    return bool(weights) and all(isinstance(weight, int | float) and weight == 0 for weight in weights)
