"""What a model answers to held-out examples: the yardstick that a model on another host is measured by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from finetune_kit._clock import clock
from finetune_kit.backends import Backend, Sampling
from finetune_kit.errors import FormatError
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message, PreferenceExample
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import Estimate

MOST_PROMPTS = 200
_FEWEST_TOKENS, _MOST_TOKENS = 32, 2048


@dataclass(frozen=True, slots=True)
class Question:
    """One example as a question, and the answer that stands in the data."""

    row: int
    reference: str
    prompt: str = ""
    messages: tuple[Message, ...] | None = None
    """None for a plain prompt."""


@dataclass(frozen=True, slots=True)
class Questions:
    """The examples that can be asked, evenly spread over all of them."""

    asked: tuple[Question, ...]
    rows: int
    """How many examples there are."""
    wordless: int
    """How many of those looked at were left out: their answer is a tool call, or no text."""

    @classmethod
    def of(cls, rows: Rows, most: int) -> Questions:
        """At most so many of the examples."""
        count = min(most, len(rows))
        return cls.at(rows, [place * len(rows) // count for place in range(count)])

    @classmethod
    def at(cls, rows: Rows, chosen: Sequence[int]) -> Questions:
        """The examples in these places, as far as they are there."""
        chosen = [row for row in chosen if 0 <= row < len(rows)]
        found = [_question(row, rows[row]) for row in chosen]
        asked = tuple(question for question in found if question is not None)
        return cls(asked, len(rows), len(found) - len(asked))

    @property
    def max_tokens(self) -> int:
        """Enough for the longest answer: a text has at most as many tokens as bytes."""
        longest = max((len(one.reference.encode("utf-8", "replace")) for one in self.asked), default=0)
        return min(_MOST_TOKENS, max(_FEWEST_TOKENS, longest + 8))

    def price(self, backend: Backend, base: str) -> float | None:
        """About what one answer to each costs, in US dollars; None where a price is not on file."""
        profile = backend.profile
        if profile.free_of_charge:
            return 0.0
        facts = profile.models.get(base)
        prices = None if facts is None else facts.prices
        if facts is None or prices is None or prices.input is None or prices.output is None:
            return None
        tokens = Estimate(facts.tokenizer)
        read = sum(tokens.count(_text_of(one)) for one in self.asked)
        written = sum(tokens.count(one.reference) for one in self.asked)
        return tokens.high * (read * prices.input + written * prices.output) / 1e6


class Answer(BaseModel):
    """One answer, by the place of its example."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    row: int
    reference: str
    """What stands in the data."""
    answer: str


class Answers(BaseModel):
    """What one model answered."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = 1
    model: str
    asked_at: datetime
    rows: int
    """How many examples there were to choose from."""
    wordless: int = 0
    """How many were left out, since their answer is a tool call or no text."""
    max_tokens: int
    answers: tuple[Answer, ...]

    @classmethod
    def read(cls, path: Path) -> Answers:
        """As they were written into an archive."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise FormatError(f"{path} cannot be read: verify() tells what is damaged.", path=path) from error


def answers_of(backend: Backend, model: str, questions: Questions, template: PromptTemplate | None) -> Answers:
    """One greedy answer to each question, all asked together."""
    sampling = Sampling(max_tokens=questions.max_tokens, stop=(template.stop,) if template and template.stop else ())
    asked = questions.asked
    if template is not None and asked and asked[0].messages is None:
        told = backend.complete(model, [template.prompt(one.prompt) for one in asked], sampling)
        texts = [template.parse(one.text) for one in told]
    else:
        conversations = [_conversation(one) for one in asked]
        texts = [one.text for one in backend.chat(model, conversations, Sampling(max_tokens=questions.max_tokens))]
    return Answers(
        model=model,
        asked_at=datetime.fromtimestamp(clock().now(), UTC),
        rows=questions.rows,
        wordless=questions.wordless,
        max_tokens=questions.max_tokens,
        answers=tuple(
            Answer(row=one.row, reference=one.reference, answer=text) for one, text in zip(asked, texts, strict=True)
        ),
    )


def _question(row: int, example: Example) -> Question | None:
    if isinstance(example, CompletionExample):
        return Question(row, example.completion, prompt=example.prompt)
    before, last = _last_turn(example)
    if last is None or last.more.get("tool_calls") or last.more.get("function_call") or not last.text:
        return None
    return Question(row, last.text, messages=tuple(before))


def _last_turn(example: ChatExample | PreferenceExample) -> tuple[Sequence[Message], Message | None]:
    """What stands before the last answer by the assistant, and that answer; a pair's preferred one."""
    turns = example.messages if isinstance(example, ChatExample) else (*example.messages, *example.preferred)
    for place in range(len(turns) - 1, -1, -1):
        if turns[place].role == "assistant":
            return turns[:place], turns[place]
    return turns, None


def _conversation(question: Question) -> list[dict[str, JsonValue]]:
    if question.messages is None:
        return [{"role": "user", "content": question.prompt}]
    return [
        {key: value for key, value in message.as_json().items() if key != "weight"} for message in question.messages
    ]


def _text_of(question: Question) -> str:
    if question.messages is None:
        return question.prompt
    return orjson.dumps(_conversation(question)).decode()
