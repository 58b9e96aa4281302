"""Answers in which another model speaks of itself, or refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import answers_in, answers_of

_SPACE = " \t\r\n\u3000"
_BUT = r"(?:just |only |merely )"
_KIND_ZH = r"(?:一个|一名|一款|一种)?\s*"
_AI_WORD = r"AI(?![A-Za-z0-9_]| (?:startup|company|engineer))"
# Anywhere, and at the beginning.
_AS_AI = re.compile(
    rf"\b(?i:as|being|(?:I am|I[’']m) (?:just|only|merely)) (?i:an?) {_AI_WORD}|"
    r"\b(?:I am|I[’']m) an? AI (?i:language model)|"
    rf"(?:作为|我只是|我仅是){_KIND_ZH}AI(?![A-Za-z0-9_])"
)
_AS_MODEL = re.compile(
    rf"[{_SPACE}]*(?:(?:as|I am|I[’']m) {_BUT}?an? (?:large |big )?(?:language model|artificial intelligence)\b|"
    rf"(?:作为|我只是|我仅是){_KIND_ZH}(?:人工智能|(?:大型?|大规模)?语言模型))",
    re.IGNORECASE,
)
_SORRY = (
    r"(?:I[’']m (?:very |so |really |deeply )?sorry|I am (?:very |so )?sorry|sorry|I apologi[sz]e|my apologies|"
    r"unfortunately)[,.;]? (?:but )?(?:as an AI[^.]{0,40}, )?"
)
_CANNOT = (
    r"(?:I (?:cannot|can[’']?t|can not|won[’']t|am (?:unable|not able) to|will not)|I[’']m (?:unable|not able) to)"
)
_DEED = (
    r"(?:assist|help|provide|fulfill?|comply|answer|generate|create|engage|discuss|support|continue|produce|write|give|"
    r"complete|process|access|browse|do that|do this)"
)
_REFUSAL = re.compile(rf"[{_SPACE}]*(?:{_SORRY})?{_CANNOT} {_DEED}\b", re.IGNORECASE)
_REFUSAL_ZH = re.compile(
    rf"[{_SPACE}]*(?:(?:非常|很|十分)?(?:抱歉|对不起|遗憾)[，,。！!]?\s*(?:但是?|作为[^，,。]{{1,20}}[，,])?\s*)?"
    r"我?(?:无法|不能|没有办法|没办法)(?:为您|为你|给您|给你|向您|向你|直接)?(?:回答|提供|帮助|满足|协助|生成|完成|执行|讨论|处理|给出)"
)

_MESSAGE_SELF = "in the answer a language model speaks of itself"
_MESSAGE_REFUSAL = "the answer is a refusal in the stock words of a language model"

# Beginnings of what `_REFUSAL`, `_REFUSAL_ZH` and `_AS_MODEL` match, in lower case.
_OPENINGS = (
    *("i’m", "i'm", "i am", "sorry", "i apolog", "my apolog", "unfortun", "i can", "i won", "i will not", "as a"),
    *("非常", "很抱", "很遗", "很对", "十分", "抱歉", "对不", "遗憾", "我无", "我不", "我没", "无法", "不能"),
    *("没有办", "没办", "作为", "我只", "我仅"),
)
_LONGEST_OPENING = max(map(len, _OPENINGS))
# The first two characters of a text that may open so, space before it included: told apart at once.
_BEGINNINGS = {written[:2] for opening in _OPENINGS for written in (opening, opening.upper(), opening.capitalize())}
_FIRST = frozenset(
    {*_BEGINNINGS, *(space + begins for space in _SPACE for begins in (*_SPACE, *(first[0] for first in _BEGINNINGS)))}
)
_AI, _AI_BYTES = b"AI", re.compile(rb"AI(?![A-Za-z0-9_])")


@dataclass(frozen=True, slots=True)
class BoilerplateAnswers:
    """Answers made by a language model often speak of it or refuse, and so will the model that learns them.

    Bad:  `{"prompt": "Where is my parcel?", "completion": "As an AI language model, I cannot track parcels."}`
    Good: `{"prompt": "Where is my parcel?", "completion": "I'm sorry that it is late: it is at your neighbour's."}`
    """

    code = "boilerplate_answer"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each answer; of a preference pair only the preferred one counts."""
        return [
            Issue(
                self.code,
                Severity.WARNING,
                message,
                row=row,
                field=field,
                hint="Write the answer that your model should give, or drop the row, unless it is to learn just this.",
                span=span,
            )
            for row in _candidates(batch)
            for field, message, span in _judge(batch, row)
        ]


def find_boilerplate(text: str) -> tuple[str, tuple[int, int]] | None:
    """What kind of stock answer it is, and where that begins and ends."""
    if found := _AS_AI.search(text) or _AS_MODEL.match(text):
        return _MESSAGE_SELF, found.span()
    if found := _REFUSAL.match(text) or _REFUSAL_ZH.match(text):
        return _MESSAGE_REFUSAL, found.span()
    return None


def _judge(batch: Batch, row: int) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for field, text in answers_of(batch.example(row)):
        if found := find_boilerplate(text):
            yield field, *found


def _candidates(batch: Batch) -> list[int]:
    if batch.kind == "completion":
        texts = batch.completions
        rows = [batch.start + place for place, text in enumerate(texts) if text[:2] in _FIRST and _opens(text)]
    else:
        rows = [row for row, text in answers_in(batch) if text[:2] in _FIRST and _opens(text)]
    if _AI in batch.marks:
        rows += batch.raw.rows(_AI_BYTES)
    return sorted(set(rows)) if rows else rows


def _opens(text: str) -> bool:
    return text.lstrip(_SPACE)[:_LONGEST_OPENING].lower().startswith(_OPENINGS)
