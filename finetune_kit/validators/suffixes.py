"""How prompts end, which tells the model to begin, and how completions end, which tells the caller to stop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.endings import Ending, completion_ending, prompt_ending
from finetune_kit.validators.issue import Issue, Severity

_LONG = 10  # characters: the founding tool's figure


@dataclass(frozen=True, slots=True)
class PromptSuffix:
    """Where prompts end with a separator, all of them do, it is short, and it stands nowhere else in them.

    Bad:  `{"prompt": "Lost? ->"}` beside `{"prompt": "Money back?"}`, or `{"prompt": "Lost -> or stolen? ->"}`
    Good: `{"prompt": "Lost? ->"}` beside `{"prompt": "Money back? ->"}`, or no separator at all
    """

    code = "prompt_suffix"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        ending = last.view(prompt_ending)
        yield from _mixture(self.code, "prompt", ending)
        if ending.everywhere and len(ending.mark) > _LONG:
            size = len(ending.mark)
            message = f"every prompt ends with {quoted(ending.mark)}, {size} characters that are always the same"
            hint = "They cost tokens in every example and in every call: a short separator such as ' ->' does as well."
            yield Issue(self.code, Severity.INFO, message, field="prompt", hint=hint)
        message = f"{quoted(ending.mark)} ends the prompts and stands inside this one too"
        hint = "The model cannot tell where the prompt ends: take a separator that no prompt holds."
        yield from _inside(self.code, "prompt", ending, message, hint)


@dataclass(frozen=True, slots=True)
class CompletionSuffix:
    """Where completions end with a stop sequence, all of them do, and it stands nowhere else in them.

    Bad:  `{"completion": "On Monday END"}` beside `{"completion": "On Tuesday"}`, or `{"completion": "The END END"}`
    Good: `{"completion": "On Monday END"}` beside `{"completion": "On Tuesday END"}`, or no stop sequence at all
    """

    code = "completion_suffix"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        ending = last.view(completion_ending)
        yield from _mixture(self.code, "completion", ending)
        message = f"{quoted(ending.mark)} ends the completions and stands inside this one too"
        hint = "The model's answers would be cut there: take a stop sequence that no completion holds."
        yield from _inside(self.code, "completion", ending, message, hint)


def _mixture(code: str, field: str, ending: Ending) -> Iterator[Issue]:
    if not ending.mixed:
        return
    if not ending.usual:
        message = f"some {field}s end with {quoted(ending.mark)}, most do not ({ending.having:,} of {ending.rows:,} do)"
        where = ", where='prompt'" if field == "prompt" else ""
        hint = f"The template adds one to all of them in training: StripSuffix({ending.mark!r}{where}) takes these off."
        yield Issue(code, Severity.WARNING, message, field=field, hint=hint)
        return
    message = f"the {field} does not end with {quoted(ending.mark)}, as most do"
    hint = f"Let all {field}s end alike, or none: a model that has seen both does not know what to expect."
    for row in ending.without:
        yield Issue(code, Severity.WARNING, message, row=row, field=field, hint=hint)


def _inside(code: str, field: str, ending: Ending, message: str, hint: str) -> Iterator[Issue]:
    for row, place in zip(ending.inside, ending.places, strict=True) if ending.usual else ():
        span = (place, place + len(ending.mark))
        yield Issue(code, Severity.WARNING, message, row=row, field=field, hint=hint, span=span)
