"""A model that has learned its examples by heart and answers with the nearest one."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from finetune_kit.backends import Generation, Sampling
from finetune_kit.backends.protocol import ChatMessages
from finetune_kit.records import JsonValue

UNTRAINED_ANSWER = " I have learned nothing yet."
"""What a base model says to everything."""

# Words, but each sign of a script that writes no spaces is one of its own.
_WORD = re.compile(r"[\u2e80-\uffff]|[^\W\u2e80-\uffff]+|[^\w\s]")
_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s])|\s+$")
_SHARPNESS = 20.0
"""How much more probable an answer is that belongs to a nearer prompt."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What one example taught: asked this, answer that."""

    asked: str
    answer: str
    words: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", words(self.asked))

    def likeness(self, asked: str, asked_words: frozenset[str]) -> float:
        """From 0 to 1 by the words that both prompts have, 2 where they are equal."""
        if asked == self.asked:
            return 2.0
        return len(self.words & asked_words) / (len(self.words | asked_words) or 1)


@dataclass(slots=True)
class MemoryModel:
    """Examples by what is asked in them; the last one counts where a question has several answers."""

    learned: dict[str, Learned] = field(default_factory=dict[str, Learned])

    def learn(self, asked: str, answer: str) -> None:
        """Keep an answer."""
        self.learned[asked] = Learned(asked, answer)

    def knows(self, asked: str, answer: str) -> bool:
        """Whether exactly this was learned."""
        known = self.learned.get(asked)
        return known is not None and known.answer == answer

    def answer(self, asked: str) -> str:
        """The answer to the nearest prompt; the first of those that are equally near."""
        asked_words = words(asked)
        nearest = max(self.learned.values(), key=lambda one: one.likeness(asked, asked_words), default=None)
        return UNTRAINED_ANSWER if nearest is None else nearest.answer

    def generate(self, asked: str, sampling: Sampling) -> Generation:
        """The answer as a backend gives it: up to a stop sequence or `max_tokens`; other settings have no effect."""
        answer = self.answer(asked)
        end = min((answer.index(stop) for stop in sampling.stop if stop in answer), default=len(answer))
        tokens = _TOKEN.findall(answer[:end])
        text = "".join(tokens[: sampling.max_tokens])
        return Generation(
            text=text,
            finish_reason="stop" if len(tokens) <= sampling.max_tokens else "length",
            prompt_tokens=len(_TOKEN.findall(asked)),
            completion_tokens=min(len(tokens), sampling.max_tokens),
        )

    def rank(self, asked: str, answers: Sequence[str]) -> list[float]:
        """Each answer's probability by the nearest prompt that it belongs to; they sum to 1."""
        asked_words = words(asked)
        nearest = dict.fromkeys(answers, 0.0)
        for one in self.learned.values():
            if one.answer in nearest:
                nearest[one.answer] = max(nearest[one.answer], one.likeness(asked, asked_words))
        weights = [math.exp(_SHARPNESS * nearest[answer]) for answer in answers]
        return [weight / sum(weights) for weight in weights]


def words(text: str) -> frozenset[str]:
    """The words of a text, blind to letter case."""
    return frozenset(_WORD.findall(text.casefold()))


def conversation(messages: ChatMessages) -> str:
    """A conversation as one text."""
    return "\n".join(f"{message.get('role')}: {_text(message.get('content'))}" for message in messages)


def _text(content: JsonValue) -> str:
    return content if isinstance(content, str) else ""
