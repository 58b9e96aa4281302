"""What a model answers to held-out examples: the yardstick that a model on another host is measured by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from finetune_kit._clock import clock
from finetune_kit.backends import Backend, Generation, Sampling
from finetune_kit.errors import FormatError, RequestRefusedError
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message, PreferenceExample
from finetune_kit.rows import Rows
from finetune_kit.templates import PromptTemplate
from finetune_kit.tokens import Estimate

Q = TypeVar("Q")
MOST_PROMPTS = 200
_REFUSED_IN_A_ROW = 5
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
    refused: int = 0
    """How many of the questions the model does not take, such as those that a filter stops."""
    validation_sha256: str = ""
    """Of the file that the questions are from; empty where an older version did not write it."""
    max_tokens: int
    answers: tuple[Answer, ...]

    def of_file(self, sha256: str) -> bool:
        """Whether the questions are from this file."""
        return self.validation_sha256 in ("", sha256)

    @classmethod
    def read(cls, path: Path) -> Answers:
        """As they were written into an archive."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise FormatError(f"{path} cannot be read: verify() tells what is damaged.", path=path) from error


def answers_of(
    backend: Backend, model: str, questions: Questions, template: PromptTemplate | None, *, validation_sha256: str = ""
) -> Answers:
    """One greedy answer to each question, all asked together; those that the model refuses are counted."""
    asked = questions.asked
    if template is not None and asked and asked[0].messages is None:
        stop = (template.stop,) if template.stop else ()
        sampling = Sampling(max_tokens=questions.max_tokens, stop=stop)
        prompts = [template.prompt(one.prompt) for one in asked]
        texts = _texts(prompts, lambda some: backend.complete(model, some, sampling))
        texts = [None if text is None else template.parse(text) for text in texts]
    else:
        sampling = Sampling(max_tokens=questions.max_tokens)
        texts = _texts([_conversation(one) for one in asked], lambda some: backend.chat(model, some, sampling))
    answers = [(one, text) for one, text in zip(asked, texts, strict=True) if text is not None]
    return Answers(
        model=model,
        asked_at=datetime.fromtimestamp(clock().now(), UTC),
        rows=questions.rows,
        wordless=questions.wordless,
        refused=len(asked) - len(answers),
        validation_sha256=validation_sha256,
        max_tokens=questions.max_tokens,
        answers=tuple(Answer(row=one.row, reference=one.reference, answer=text) for one, text in answers),
    )


def _texts(asked: list[Q], ask: Callable[[list[Q]], list[Generation]]) -> list[str | None]:
    """An answer to each; one question that is refused, as by a filter, does not take the others with it."""
    try:
        return [one.text for one in ask(asked)]
    except RequestRefusedError as error:
        if len(asked) == 1:
            raise
        refused = error
    texts: list[str | None] = []
    for one in asked:
        try:
            texts.append(ask([one])[0].text)
        except RequestRefusedError:
            texts.append(None)
            if len(texts) >= _REFUSED_IN_A_ROW and not any(text is not None for text in texts):
                raise refused from None  # it is not the question that is refused
    return texts


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
