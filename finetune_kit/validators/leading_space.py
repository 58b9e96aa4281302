"""Completions with and without a space in front."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity

OLD_MODELS = ("ada", "babbage", "curie", "davinci", "babbage-002", "davinci-002")
"""Models that only complete, in whose tokens a word with a space before it is another than one without."""

# In canonical JSON this stands once in a row whose completion begins so.
_SPACED = b'","completion":" '


@dataclass(frozen=True, slots=True)
class LeadingSpace:
    """For models that only complete, all completions begin with a space, or none does and the template adds it.

    Bad:  `{"completion": " yes"}` beside `{"completion": "no"}`
    Good: `{"completion": "yes"}` beside `{"completion": "no"}`
    """

    code = "leading_space"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        if last.kind != "completion":
            return
        spaced, others = array("Q"), array("Q")
        for part in last.rows.batches():
            begin_so = part.raw.data.count(_SPACED)
            if begin_so in (0, len(part)):
                (spaced if begin_so else others).extend(range(part.start, part.start + len(part)))
                continue
            for row, completion in enumerate(part.completions, part.start):
                (spaced if completion.startswith(" ") else others).append(row)
        if len(spaced) < len(others):
            fewer, message = spaced, "the completion begins with a space, most do not"
        else:
            fewer, message = others, "the completion does not begin with a space, as most do"
        hint = "Take the spaces off: the template adds one to all of them in training."
        for row in fewer:
            yield Issue(self.code, Severity.WARNING, message, row=row, field="completion", hint=hint)
