"""Parts of an example with nothing in them."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from finetune_kit.records import ChatExample, JsonValue, Message, PreferenceExample, turns_of
from finetune_kit.rows import BLANK_COMPLETION, NOTHING_ASKED, Batch
from finetune_kit.validators.chat_turns import conversations
from finetune_kit.validators.issue import Issue, Severity

# What can stand in place of words: calls, a refusal, and what a tool returned, which may rightly be nothing.
_INSTEAD_OF_TEXT = ("tool_calls", "function_call", "refusal", "audio")
_RESULT_ROLES = ("tool", "function")


@dataclass(frozen=True, slots=True)
class EmptyCompletion:
    """A completion must hold something to learn.

    Bad:  `{"prompt": "Where is my parcel?", "completion": " "}`
    Good: `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`
    """

    code = "empty_completion"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each empty completion."""
        return [
            Issue(
                self.code,
                Severity.ERROR,
                "the completion is empty or only white space",
                row=row,
                field="completion",
                hint="Write the answer that the model should give, or drop the row.",
                fix="drop the row",
            )
            for row in batch.flagged(BLANK_COMPLETION)
        ]


@dataclass(frozen=True, slots=True)
class EmptyMessage:
    """A message must hold text, or tool calls in its place.

    Bad:  `{"role": "assistant", "content": ""}`
    Good: `{"role": "assistant", "content": "At your neighbour's."}`
    """

    code = "empty_message"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each empty message."""
        found = batch.view(conversations)
        if found.texts is not None and all(found.texts) and not any(map(str.isspace, found.texts)):
            return ()
        return [
            Issue(
                self.code,
                Severity.ERROR,
                "a message has no content and no tool calls",
                row=row,
                field=f"{where}.content",
                hint="Write the message, or drop it or its conversation.",
            )
            for row, example in found.rows
            if _may_have_empty_messages(example)
            for where, message in turns_of(example)
            if _is_empty(message)
        ]


def _may_have_empty_messages(example: ChatExample | PreferenceExample) -> bool:
    turns = example.messages
    if isinstance(example, PreferenceExample):
        turns = (*turns, *example.preferred, *example.non_preferred)
    # A list, not a generator: this runs for every message there is.
    contents = [message.content for message in turns]
    return bool([None for text in contents if not isinstance(text, str) or not text or text.isspace()])


def _is_empty(message: Message) -> bool:
    if message.text.strip() or (isinstance(message.content, list) and any(map(_is_not_text, message.content))):
        return False
    return message.role not in _RESULT_ROLES and not any(message.more.get(key) for key in _INSTEAD_OF_TEXT)


def _is_not_text(part: JsonValue) -> bool:
    return isinstance(part, dict) and part.get("type") != "text"


@dataclass(frozen=True, slots=True)
class EmptyPrompt:
    """An empty prompt among others is most likely a mistake; where all are empty, that is open-ended generation.

    Bad:  `{"prompt": "", "completion": "At your neighbour's."}` among rows with prompts
    Good: `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`
    """

    code = "empty_prompt"

    def start(self) -> EmptyPromptCheck:
        """Begin a run."""
        return EmptyPromptCheck(self.code)


@dataclass(slots=True)
class EmptyPromptCheck:
    """Remembers which prompts were empty until it is known whether all are."""

    code: str
    _empty: array[int] = field(default_factory=lambda: array("Q"))
    _seen: int = 0

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is certain before the end."""
        self._seen += len(batch)
        if batch.kind == "completion":
            self._empty.extend(batch.flagged(NOTHING_ASKED))
        return ()

    def finish(self) -> Iterable[Issue]:
        """One note where all are empty, else a warning for each."""
        if len(self._empty) == self._seen:
            return [self._open_ended()] if self._seen else []
        return map(self._warning, self._empty)

    def _open_ended(self) -> Issue:
        message = "every prompt is empty: the model learns to write such texts without being asked"
        return Issue(self.code, Severity.INFO, message, field="prompt")

    def _warning(self, row: int) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            "the prompt is empty or only white space",
            row=row,
            field="prompt",
            hint='Write the question that this completion answers, or drop the rows: `clean(fixes=["empty_prompt"])`.',
        )
