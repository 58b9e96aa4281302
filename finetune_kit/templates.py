"""The prompt template: one object that renders for training and for inference, stored with the model."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
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
    """Ends every prompt; empty only where a model learned from a file that had none."""
    stop: str
    """Ends every completion, and generation stops there; empty only as above."""
    leading_space: bool
    """Whether completions begin with a space, as words of alphabetic scripts do in the tokens of most models."""

    @classmethod
    def choose(cls, examples: Iterable[CompletionExample]) -> PromptTemplate:
        """The first separator and stop sequence that nothing in `examples` can be mistaken for, in one pass."""
        separators, stops = [*map(_Mark.of, SEPARATORS)], [*map(_Mark.of, STOPS)]
        numbered_separator = _Numbered("\n\n### {} =>\n\n", "### ", re.compile(r"### ([0-9]{1,18}) =>"))
        numbered_stop = _Numbered(" [END {}]", "[END ", re.compile(r"\[END ([0-9]{1,18})\]"))
        leading_space = False
        for example in examples:
            prompt, completion = example.prompt, f" {example.completion}"  # with a space or without one, that will do
            if "\n" in prompt:
                separators = [mark for mark in separators if mark.text != SEPARATORS[0]]
            separators = [mark for mark in separators if mark.head not in prompt and mark.tail not in completion]
            stops = [mark for mark in stops if mark.head not in completion]
            numbered_separator.see(example.prompt, example.completion)
            numbered_stop.see(example.completion)
            leading_space = leading_space or _starts_a_word(example.completion)
        return cls(
            separator=separators[0].text if separators else numbered_separator.unused(),
            stop=stops[0].text if stops else numbered_stop.unused(),
            leading_space=leading_space,
        )

    def prompt(self, text: str) -> str:
        """`text` as the model sees it; a prompt that was rendered already is refused rather than rendered twice."""
        if self.separator and text.endswith(self.separator):
            raise TemplateError(
                f"the prompt already ends with the separator {self.separator!r}, which this model's template adds. "
                "Pass the plain text."
            )
        return text + self.separator

    def completion(self, text: str) -> str:
        """`text` as the model learns to write it."""
        return f"{' ' if self.leading_space else ''}{text}{self.stop}"

    def parse(self, generated: str) -> str:
        """The plain completion in what the model wrote."""
        text = generated.partition(self.stop)[0] if self.stop else generated
        return text.removeprefix(" ") if self.leading_space else text

    def misfit(self, example: CompletionExample) -> str | None:
        """Why this template cannot render `example` unmistakably; None for all examples that it was chosen over."""
        if self.separator and not _ends(self.separator, example.prompt):
            return f"the prompt holds {self.separator!r}, the separator that ends every prompt for this model"
        if self.parse(self.completion(example.completion)) != example.completion:
            return f"the completion holds {self.stop!r}, the stop sequence that ends every completion for this model"
        return None


def _ends(mark: str, text: str) -> bool:
    """Whether `mark`, put behind `text`, is found there and no earlier, as it would be behind half a mark."""
    return mark not in text + mark[:-1]


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark, and the parts of it that a neighbour must not hold, lest the two make up one more mark where they meet.

    A text that ends in "\\n\\n###" makes one with the beginning of "\\n\\n###\\n\\n", because that ends as it begins.
    """

    text: str
    head: str
    tail: str

    @classmethod
    def of(cls, text: str) -> _Mark:
        """Without its longest end that is also its beginning."""
        shared = next(size for size in range(len(text) - 1, -1, -1) if text.startswith(text[len(text) - size :]))
        return cls(text=text, head=text[: len(text) - shared], tail=text[shared:])


@dataclass(slots=True)
class _Numbered:
    """Marks without end, for data in which all others occur; which numbers are taken is known after the last text."""

    pattern: str
    begin: str
    number: re.Pattern[str]
    _taken: set[int] = field(default_factory=set[int])

    def see(self, *texts: str) -> None:
        for text in texts:
            if self.begin in text:  # far quicker to find than the number, and rare
                self._taken.update(map(int, self.number.findall(text)))

    def unused(self) -> str:
        return self.pattern.format(next(number for number in count(1) if number not in self._taken))


def _starts_a_word(completion: str) -> bool:
    first = completion[:1]
    return first.isalnum() and ord(first) < 0x2E80  # below the CJK blocks: scripts that separate words by spaces
