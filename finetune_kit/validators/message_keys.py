"""Keys of a message that hosts do not know, or that hold nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import is_given, special_turns
from finetune_kit.validators.issue import Issue, Severity

KNOWN_KEYS = frozenset({"name", "weight", "tool_calls", "tool_call_id", "function_call", "refusal", "audio"})
"""What hosts define beside `role` and `content`."""

_ADVICE = {
    "loss_weight": "Hosts call it weight, and it is 0 or 1.",
    "reasoning_content": "It is not trained on: put it into the content if the model should learn it.",
    "reasoning": "It is not trained on: put it into the content if the model should learn it.",
    "thinking": "It is not trained on: put it into the content if the model should learn it.",
}
_ANY_ADVICE = "Hosts ignore it or refuse the file; leave it out, or put it beside `messages`."
# A file may have a new key in every message.
_MOST_KEYS = 50


@dataclass(frozen=True, slots=True)
class MessageKeys:
    """A message's keys are those that hosts know, and a key without a value is left out.

    Bad:  `{"role": "assistant", "content": "Yes", "loss_weight": 1.0, "tool_calls": null}`
    Good: `{"role": "assistant", "content": "Yes", "weight": 1}`
    """

    code = "message_keys"

    def start(self) -> MessageKeysCheck:
        """Begin a run."""
        return MessageKeysCheck(self.code)


@dataclass(slots=True)
class _Seen:
    """Where a key stood first, and in how many messages it did."""

    row: int
    where: str
    times: int = 0


@dataclass(slots=True)
class MessageKeysCheck:
    """Counts keys, so that one that stands in every row is one finding."""

    code: str
    _unknown: dict[str, _Seen] = field(default_factory=dict[str, _Seen])
    _without_value: dict[str, _Seen] = field(default_factory=dict[str, _Seen])

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is told before the end."""
        for row, where, message in batch.view(special_turns):
            for key, value in message.more.items():
                if key not in KNOWN_KEYS:
                    self._count(self._unknown, key, row, where)
                elif not is_given(value):
                    self._count(self._without_value, key, row, where)
        return ()

    def finish(self) -> Iterator[Issue]:
        """A note for each unknown key and a warning for each that is null or empty somewhere."""
        for key, seen in self._unknown.items():
            message = f"the key {quoted(key)} is unknown to hosts, in {_messages(seen.times)}"
            yield self._issue(Severity.INFO, message, key, seen, _ADVICE.get(key, _ANY_ADVICE))
        for key, seen in self._without_value.items():
            message = f"{quoted(key)} is null or empty in {_messages(seen.times)}"
            yield self._issue(Severity.WARNING, message, key, seen, "Leave the key out: not every host takes it so.")

    def _count(self, seen: dict[str, _Seen], key: str, row: int, where: str) -> None:
        if key in seen or len(seen) < _MOST_KEYS:
            seen.setdefault(key, _Seen(row, where)).times += 1

    def _issue(self, severity: Severity, message: str, key: str, seen: _Seen, hint: str) -> Issue:
        return Issue(self.code, severity, message, row=seen.row, field=f"{seen.where}.{quoted(key)[1:-1]}", hint=hint)


def _messages(times: int) -> str:
    return "one message" if times == 1 else f"{times:,} messages"
