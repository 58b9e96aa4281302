"""Words that begin every prompt, or every completion."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.affixes import is_worded, shared_beginning
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.endings import FEWEST_ROWS
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.sample import sample_of

# The founding tool's figures: shorter ones are told by nobody.
_LONG_PROMPT_PREFIX = 12
_LONG_COMPLETION_PREFIX = 5


@dataclass(frozen=True, slots=True)
class PromptPrefix:
    """The same words at the beginning of every prompt cost tokens in every example and in every call.

    Bad:  `{"prompt": "Classify the following message: Where is my parcel?"}` and so on in every row
    Good: `{"prompt": "Where is my parcel?"}`
    """

    code = "prompt_prefix"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        prompts = last.view(sample_of).prompts
        beginning = _beginning(prompts)
        if len(beginning) > _LONG_PROMPT_PREFIX and len(set(prompts)) > 1 and not _rows(last, "prompt", beginning)[0]:
            message = f"every prompt begins with {quoted(beginning)}"
            hint = (
                "A fine-tuned model knows its task: without these words each example and each call is cheaper. "
                f"StripPrefix({beginning!r}, where='prompt') among the fixes of `clean` takes them off."
            )
            yield Issue(self.code, Severity.INFO, message, field="prompt", hint=hint)


@dataclass(frozen=True, slots=True)
class CompletionPrefix:
    """The same words at the beginning of every completion are written, and paid for, in every answer.

    Bad:  `{"completion": "Answer: on Monday"}` and so on in every row, or one with nothing behind "Answer: "
    Good: `{"completion": "on Monday"}`
    """

    code = "completion_prefix"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        completions = last.view(sample_of).completions
        beginning = _beginning(completions)
        if len(beginning.strip()) < _LONG_COMPLETION_PREFIX or len(set(completions)) < 2:
            return
        without, bare = _rows(last, "completion", beginning)
        if without:
            return
        message = f"every completion begins with {quoted(beginning)}"
        hint = (
            "The model would write it in every answer: better add it where answers are shown. "
            f"StripPrefix({beginning!r}) among the fixes of `clean` takes it off."
        )
        yield Issue(self.code, Severity.INFO, message, field="completion", hint=hint)
        message = f"nothing stands behind {quoted(beginning)}, with which all completions begin"
        hint = "Write the answer, or drop the row; without its beginning the completion would be empty."
        for row in bare:
            yield Issue(self.code, Severity.WARNING, message, row=row, field="completion", hint=hint)


def _beginning(texts: list[str]) -> str:
    beginning = shared_beginning(texts) if len(texts) >= FEWEST_ROWS else ""
    return beginning if is_worded(beginning) else ""


def _rows(last: Batch, field: str, beginning: str) -> tuple[list[int], list[int]]:
    """The first row that begins otherwise, if there is one, and else the rows in which nothing follows."""
    bare: list[int] = []
    for part in last.rows.batches():
        texts = part.prompts if field == "prompt" else part.completions
        for row, text in enumerate(texts, part.start):
            if not text.startswith(beginning):
                return [row], []
            if len(text) < len(beginning) + 20 and not text[len(beginning) :].strip():
                bare.append(row)
    return [], bare
