"""What a preference pair is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.records import Message, PreferenceExample
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_roles import KNOWN_ROLES
from finetune_kit.validators.issue import Issue, Severity

_ANSWER = "Hosts compare two answers: give each as one message by the assistant."


@dataclass(frozen=True, slots=True)
class PreferencePairs:
    """A preference pair has a question and two different answers, each one message by the assistant.

    Bad:  `{"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []}`, or twice the same answer
    Good: `{"input": {"messages": [{"role": "user", "content": "Hello"}]},
          "preferred_output": [{"role": "assistant", "content": "How can I help?"}],
          "non_preferred_output": [{"role": "assistant", "content": "What?"}]}`
    """

    code = "preference_pair"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each part that is missing or not as it should be."""
        return [
            issue
            for row, example in enumerate(batch.examples if batch.kind == "preference" else (), batch.start)
            if isinstance(example, PreferenceExample)
            for issue in self._judge(row, example)
        ]

    def _judge(self, row: int, example: PreferenceExample) -> Iterator[Issue]:
        if not example.messages:
            yield self._error(row, "nothing is asked", "input.messages", "Write the conversation up to the answer.")
        for place, message in enumerate(example.messages):
            if message.role not in KNOWN_ROLES:
                field = f"input.messages[{place}].role"
                yield self._error(row, f"{quoted(message.role)} is not a role", field, _roles())
        for field, answer in (("preferred_output", example.preferred), ("non_preferred_output", example.non_preferred)):
            yield from self._answer(row, field, answer)
        if _said(example.preferred) == _said(example.non_preferred):
            what = "both answers are the same, so there is nothing to prefer"
            yield self._error(row, what, "non_preferred_output", "Write a worse answer, or drop the row.")

    def _answer(self, row: int, field: str, answer: tuple[Message, ...]) -> Iterator[Issue]:
        if len(answer) != 1:
            yield self._error(row, f"the answer has {len(answer)} messages, not one", field, _ANSWER)
        yield from (
            self._error(
                row, f"the answer is by {quoted(message.role)}, not by the assistant", f"{field}[{place}].role", _ANSWER
            )
            for place, message in enumerate(answer)
            if message.role != "assistant"
        )

    def _error(self, row: int, message: str, field: str, hint: str) -> Issue:
        return Issue(self.code, Severity.ERROR, message, row=row, field=field, hint=hint)


def _said(answer: tuple[Message, ...]) -> list[object]:
    return [{**message.as_json(), "content": message.text.strip()} for message in answer]


def _roles() -> str:
    return f"The roles are {', '.join(KNOWN_ROLES)}."
