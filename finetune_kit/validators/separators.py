"""Whether the texts are marked for a model that only completes: separator behind prompts, stop behind completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.templates import SEPARATORS, STOPS
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.endings import FEWEST_ROWS, completion_ending, prompt_ending
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.sample import sample_of
from finetune_kit.validators.task_type import Task, task_of

_ONLY_RAW = "`train` adds one by itself; it matters where the written file is uploaded by hand."


@dataclass(frozen=True, slots=True)
class Separator:
    """A file that is uploaded as it is needs a mark behind each prompt, so that the model knows when to begin.

    Bad:  `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`, uploaded by hand
    Good: `{"prompt": "Where is my parcel? ->", "completion": " At your neighbour's.\\n"}`, or `train`, which adds it
    """

    code = "separator"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        ending = last.view(prompt_ending)
        if last.view(task_of) in (Task.NONE, Task.OPEN) or ending.everywhere or ending.mixed:
            return
        sample = last.view(sample_of)
        if len(sample) < FEWEST_ROWS or len(set(sample.prompts)) < 2:
            return
        marks = SEPARATORS[1:] if any("\n" in prompt for prompt in sample.prompts) else SEPARATORS
        message = "no separator marks where the prompts end"
        hint = f"{_ONLY_RAW} A separator that fits is {_unused(marks, sample.prompts)!r}."
        yield Issue(self.code, Severity.INFO, message, field="prompt", hint=hint)


@dataclass(frozen=True, slots=True)
class StopSequence:
    """A file that is uploaded as it is needs a mark behind each completion, so that the model learns to stop.

    Bad:  `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`, uploaded by hand
    Good: `{"prompt": "Where is my parcel? ->", "completion": " At your neighbour's.\\n"}`, or `train`, which adds it
    """

    code = "stop_sequence"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        # A label is one of a few texts, each known to its end; open texts end where the writer is cut off.
        ending = last.view(completion_ending)
        if last.view(task_of) is not Task.CONDITIONAL or ending.everywhere or ending.mixed:
            return
        sample = last.view(sample_of)
        if len(sample) >= FEWEST_ROWS:
            message = "no stop sequence marks where the completions end"
            hint = f"{_ONLY_RAW} A stop sequence that fits is {_unused(STOPS, sample.completions)!r}."
            yield Issue(self.code, Severity.INFO, message, field="completion", hint=hint)


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data that has separators and stop sequences already is told, because this library adds its own.

    Bad:  `{"prompt": "Where is my parcel? ->", "completion": " At your neighbour's.\\n"}`, given to `train`
    Good: `{"prompt": "Where is my parcel?", "completion": "At your neighbour's."}`, given to `train`
    """

    code = "prepared"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        asked, answered = last.view(prompt_ending), last.view(completion_ending)
        if not asked.everywhere:
            return
        stop = f" and every completion with {quoted(answered.mark)}" if answered.everywhere else ""
        message = f"every prompt ends with {quoted(asked.mark)}{stop} already, as a preparation tool leaves them"
        marks = [f"StripSuffix({asked.mark!r}, where='prompt')"]
        marks += [f"StripSuffix({answered.mark!r})"] if answered.everywhere else []
        hint = (
            "Upload such a file as it is. `train` adds marks of its own, and the same ones to every call: take these "
            f"off first, by clean(fixes=[{', '.join(marks)}])."
        )
        yield Issue(self.code, Severity.INFO, message, field="prompt", hint=hint)


def _unused(marks: Sequence[str], texts: Sequence[str]) -> str:
    """The first that no text of the sample holds."""
    return next((mark for mark in marks if not any(mark in text for text in texts)), marks[-1])
