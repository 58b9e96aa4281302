"""One question with two answers, as prompt and completion or in a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message
from finetune_kit.repeats import same_keys
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity

_INSTRUCTIONS = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Contradictions:
    """The same prompt with another completion, or conversation with another answer: the model cannot learn both.

    Bad:  `{"prompt": "Shop hours?", "completion": "9 to 5"}` and `{"prompt": "Shop hours?", "completion": "10 to 6"}`
    Good: `{"prompt": "Shop hours?", "completion": "9 to 5"}` and `{"prompt": "Sunday hours?", "completion": "10 to 6"}`
    """

    code = "contradiction"

    def start(self) -> ContradictionsCheck:
        """Begin a run."""
        return ContradictionsCheck(self.code)


@dataclass(slots=True)
class ContradictionsCheck:
    """Reads again only the rows that ask the same."""

    code: str
    _last: Batch | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is compared before the end."""
        self._last = batch
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each example that answers otherwise than the first with its prompt."""
        if self._last is None or self._last.kind == "preference":
            return
        rows = self._last.rows
        first: dict[int, tuple[int, int]] = {}  # hashes: many long texts would fill the memory
        for row in same_keys(rows):
            example = rows[row]
            if (asked := question(example)) is not None and (given := _answer(example)) is not None:
                answer = hash(given)
                earlier, known = first.setdefault(hash(asked), (row, answer))
                if answer != known:
                    yield self._issue(row, earlier, example)

    def _issue(self, row: int, earlier: int, example: Example) -> Issue:
        what, field, asked = "the prompt has another completion", "completion", "prompts"
        if isinstance(example, ChatExample):
            last = len(example.messages) - 1
            what, field, asked = "the same conversation has another answer", f"messages[{last}].content", "messages"
        return Issue(
            self.code,
            Severity.WARNING,
            f"{what} in an earlier example",
            row=row,
            field=field,
            related=earlier,
            hint=f"Keep the right one, or say in the {asked} what makes them differ.",
        )


def question(example: Example) -> str | None:
    """What is answered at last, the same text where it is the same; None where nothing is asked."""
    if isinstance(example, CompletionExample):
        return example.prompt.strip() or None
    if not isinstance(example, ChatExample):
        return None
    before = example.messages[:-1]
    if all(message.role in _INSTRUCTIONS for message in before):
        return None
    # Other tools at hand are a reason for another answer.
    return repr(([_turn(message) for message in before], example.more))


def _answer(example: Example) -> str | None:
    if isinstance(example, CompletionExample):
        return example.completion.strip()
    last = example.messages[-1]
    if last.role != "assistant" or last.more.get("weight") == 0:
        return None
    calls = last.more.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    return repr((_said(last), last.more.get("refusal"), last.more.get("function_call"), functions))


def _turn(message: Message) -> tuple[str, object, dict[str, JsonValue]]:
    return message.role, _said(message), {key: value for key, value in message.more.items() if key != "weight"}


def _said(message: Message) -> JsonValue:
    parts = message.content
    is_text = not isinstance(parts, list) or all(
        isinstance(part, dict) and part.get("type") == "text" for part in parts
    )
    return message.text.strip() if is_text else parts
