"""What a rule means, read from its docstring."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from typing import cast

from finetune_kit.records import Example
from finetune_kit.validators.row_rule import RowRule

UNREAD = "The row could not be read as an example, so nothing would be learned from it."
"""What a refused row means."""

COMMON = {
    "validator_failed": "A rule stopped with an error of its own: what it would have found is not known.",
    "rows_refused": UNREAD,
    "leak": "An example that is trained on must not be among those that the model is tested with.",
    "shared_prompt": "A question that is trained on says little when the model is tested with it.",
}
"""What findings mean that are no rule's."""

_SENTENCE = re.compile(r"(?<=\.) (?=[A-Z`])")
_LABELLED = re.compile(r"^(Bad|Good):[ ]*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule in words."""

    code: str
    meaning: str
    """What it asks for and why, as sentences; nothing where the rule says nothing of itself."""
    bad: str = ""
    """What it finds."""
    good: str = ""
    """What it lets pass."""

    @property
    def gist(self) -> str:
        """The first sentence of what it means."""
        return _SENTENCE.split(self.meaning, maxsplit=1)[0]


def rule_text(rule: object, code: str) -> RuleText:
    """The words of a rule's docstring: what stands before `Bad:` and `Good:`, and what stands behind them."""
    documented: object = cast("RowRule[Example]", rule).function if isinstance(rule, RowRule) else type(rule)
    text = inspect.cleandoc(documented.__doc__ or "")
    if text.startswith(f"{getattr(documented, '__name__', '')}("):  # what a dataclass without a docstring gets
        text = ""
    meaning, *labelled = _LABELLED.split(text)
    told = {label: _one_line(words) for label, words in zip(labelled[::2], labelled[1::2], strict=True)}
    return RuleText(code, _one_line(meaning), told.get("Bad", ""), told.get("Good", ""))


def _one_line(text: str) -> str:
    return " ".join(text.split())
