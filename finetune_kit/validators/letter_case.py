"""Texts in capitals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.sample import sample_of

# Two words of letters in a row: labels, codes and product numbers are in capitals for good reasons.
_PHRASE = re.compile(r"[^\W\d_]{2,}[ \t]+[^\W\d_]{2,}")

_LOOKED_AT = 300  # characters of a text, and texts of a set


@dataclass(frozen=True, slots=True)
class LetterCase:
    """Texts that are mostly in capitals take more tokens, and the model meets, or writes, no others.

    Bad:  `{"prompt": "WHERE IS MY PARCEL?", "completion": "AT YOUR NEIGHBOUR'S"}` and so on
    Good: `{"prompt": "Where is my parcel?", "completion": "At your neighbour's"}`; labels such as `SPAM` are no texts
    """

    code = "letter_case"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        sample = last.view(sample_of)
        if _in_capitals(sample.prompts):
            hint = "If people will not ask in capitals, clean(fixes=[LowerCase('prompt')]) changes them, never unasked."
            yield self._issue("prompt", hint)
        if _in_capitals(sample.completions):
            hint = "The model will answer so. If that is not meant, clean(fixes=[LowerCase('completion')]) helps."
            yield self._issue("completion", hint)

    def _issue(self, field: str, hint: str) -> Issue:
        message = f"more than two thirds of the letters in the {field}s are capitals"
        return Issue(self.code, Severity.WARNING, message, field=field, hint=hint)


def _in_capitals(texts: Sequence[str]) -> bool:
    upper = lower = letters = 0
    for text in texts[:: max(1, len(texts) // _LOOKED_AT)]:
        start = text[:_LOOKED_AT]
        if _PHRASE.search(start):
            lower += sum(map(str.islower, start))
            upper += sum(map(str.isupper, start))
            letters += sum(map(str.isalpha, start))
    # A few capitals in Chinese or Arabic, which know no letter case, are names.
    return upper > lower * 2 and (upper + lower) * 2 > letters
