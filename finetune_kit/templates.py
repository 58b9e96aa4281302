"""The prompt template: one object that renders for training and for inference, stored with the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count

from finetune_kit.errors import TemplateError
from finetune_kit.records import CompletionExample

SEPARATORS = (" ->", "\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", "\n\n===>\n\n", "\n\n--->\n\n")
"""Tried in this order; the first costs the fewest tokens and fits prompts of one line only."""
STOPS = ("\n", " END", "\n###\n", "***", "+++", "&&&", "$$$", "@@@", "%%%")
"""Tried in this order; the first fits completions of one line only."""


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """What stands around a prompt and a completion, so that the model knows where each ends.

    >>> template = PromptTemplate(separator=" ->", stop="\\n", leading_space=True)
    >>> template.prompt("Where is my card?") + template.completion("card_arrival")
    'Where is my card? -> card_arrival\\n'
    >>> template.parse(" card_arrival\\nWhere")
    'card_arrival'
    """

    separator: str
    """Ends every prompt."""
    stop: str
    """Ends every completion; generation stops there."""
    leading_space: bool
    """Whether completions begin with a space, as words of alphabetic scripts do in the tokens of most models."""

    def __post_init__(self) -> None:
        if not self.separator or not self.stop:
            raise TemplateError(
                "a prompt template needs a separator and a stop sequence of at least one character each"
            )

    @classmethod
    def choose(cls, examples: Iterable[CompletionExample]) -> PromptTemplate:
        """The first separator and stop sequence that occur nowhere in `examples`, in one pass over them."""
        separators, stops = list(SEPARATORS), list(STOPS)
        numbered_separator, numbered_stop = _numbered("\n\n### {} =>\n\n"), _numbered(" [END {}]")
        spare_separator, spare_stop = next(numbered_separator), next(numbered_stop)
        leading_space = False
        for example in examples:
            text = f"{example.prompt}\0{example.completion}"
            if "\n" in example.prompt and SEPARATORS[0] in separators:
                separators.remove(SEPARATORS[0])
            separators = [separator for separator in separators if separator not in text]
            stops = [stop for stop in stops if stop not in example.completion]
            while spare_separator in text:
                spare_separator = next(numbered_separator)
            while spare_stop in example.completion:
                spare_stop = next(numbered_stop)
            leading_space = leading_space or _starts_a_word(example.completion)
        return cls(
            separator=separators[0] if separators else spare_separator,
            stop=stops[0] if stops else spare_stop,
            leading_space=leading_space,
        )

    def prompt(self, text: str) -> str:
        """`text` as the model sees it; a prompt that was rendered already is refused rather than rendered twice."""
        if text.endswith(self.separator):
            raise TemplateError(
                f"the prompt already ends with the separator {self.separator!r}, which this model's template adds itself. "
                "Pass the plain text."
            )
        return text + self.separator

    def completion(self, text: str) -> str:
        """`text` as the model learns to write it."""
        return f"{' ' if self.leading_space else ''}{text}{self.stop}"

    def parse(self, generated: str) -> str:
        """The plain completion in what the model wrote."""
        text = generated.partition(self.stop)[0]
        return text.removeprefix(" ") if self.leading_space else text


def _numbered(pattern: str) -> Iterator[str]:
    # The spare is only reached where every candidate occurs in the data. A number that was passed over because of an
    # early row stays passed over, so one pass is enough.
    return (pattern.format(number) for number in count(1))


def _starts_a_word(completion: str) -> bool:
    first = completion[:1]
    return first.isalnum() and ord(first) < 0x2E80  # below the CJK blocks: scripts that separate words by spaces
