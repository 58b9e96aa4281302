"""What a preference pair is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.records import Message, PreferenceExample
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_roles import unknown_roles
from finetune_kit.validators.chat_turns import INSTRUCTING_ROLES, Fault, parts_of
from finetune_kit.validators.image_parts import is_image
from finetune_kit.validators.issue import Issue, Severity

_ANSWER = "Hosts compare two answers: give each as one message by the assistant."
_ASKED = "Write the conversation up to the answer."


@dataclass(frozen=True, slots=True)
class PreferencePairs:
    """A preference pair has a question in text and two different answers, each one message by the assistant.

    Bad:  `{"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []}`, or twice the same answer
    Good: `{"input": {"messages": [{"role": "user", "content": "Hello"}]},
          "preferred_output": [{"role": "assistant", "content": "How can I help?"}],
          "non_preferred_output": [{"role": "assistant", "content": "What?"}]}`
    """

    code = "preference_pair"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each part that is missing or not as it should be."""
        return [
            fault.issue(self.code, row)
            for row, example in enumerate(batch.examples if batch.kind == "preference" else (), batch.start)
            if isinstance(example, PreferenceExample)
            for fault in _judge(example)
        ]


def _judge(example: PreferenceExample) -> Iterator[Fault]:
    yield from _judge_question([message.role for message in example.messages])
    yield from _judge_answer("preferred_output", example.preferred)
    yield from _judge_answer("non_preferred_output", example.non_preferred)
    if _said(example.preferred) == _said(example.non_preferred):
        what = "both answers are the same, so there is nothing to prefer"
        yield Fault(what, "non_preferred_output", "Write a worse answer, or drop the row.")
    for name, turns in parts_of(example):
        for place, message in enumerate(turns):
            if isinstance(message.content, list) and any(map(is_image, message.content)):
                hint = "Hosts compare answers to text only: drop the row, or describe the image."
                yield Fault("an image in a preference pair", f"{name}[{place}].content", hint)


def _judge_question(roles: list[str]) -> Iterator[Fault]:
    if not roles:
        yield Fault("nothing is asked", "input.messages", _ASKED)
        return
    yield from unknown_roles(roles, "input.messages")
    if all(role in INSTRUCTING_ROLES for role in roles):
        yield Fault("there are only instructions, no question", "input.messages", _ASKED, Severity.WARNING)
    elif roles[-1] == "assistant":
        hint = "End it with the message that is answered: the answers stand in preferred_output and the other."
        yield Fault("the assistant has answered already", f"input.messages[{len(roles) - 1}].role", hint)


def _judge_answer(field: str, answer: tuple[Message, ...]) -> Iterator[Fault]:
    if len(answer) != 1:
        yield Fault(f"the answer has {len(answer)} messages, not one", field, _ANSWER)
    for place, message in enumerate(answer):
        if message.role != "assistant":
            what = f"the answer is by {quoted(message.role)}, not by the assistant"
            yield Fault(what, f"{field}[{place}].role", _ANSWER)


def _said(answer: tuple[Message, ...]) -> list[object]:
    return [{**message.as_json(), "content": message.text.strip()} for message in answer]
