"""What is shown of an example: its texts, shortened to what is around the fault, and with secrets masked."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from finetune_kit.records import CompletionExample, Example, JsonValue, turns_of
from finetune_kit.validators.fields import clamped, mask, masked, text_at

_LENGTH = 320
_LENGTH_BESIDE = 160
"""What is shown of a text that the finding is not about."""
_BEFORE_MARK = 100
_PARTS = 4
_SHORTEST_WORD = 5
"""A secret of fewer characters is masked where it was found and not elsewhere, where it may be part of any word."""

_TURN = re.compile(r"(?:(?:input\.)?messages|preferred_output|non_preferred_output)\[\d+\]")


@dataclass(frozen=True, slots=True)
class Part:
    """One text of an example."""

    field: str
    """As in `Issue.field`."""
    text: str
    """The text, or a stretch of it; another value as JSON."""
    role: str | None = None
    """Who speaks, in a conversation."""
    faulty: bool = False
    """Whether the finding is about this text."""
    marks: tuple[tuple[int, int], ...] = ()
    """The stretches of `text`, as start and end, where the fault is."""
    cut_before: int = 0
    """How many characters are left out before it."""
    cut_after: int = 0


@dataclass(frozen=True, slots=True)
class Excerpt:
    """An example as it is shown beside a finding."""

    parts: tuple[Part, ...]
    left_out: int = 0
    """How many more texts the example has."""


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of a text in an example: the whole field without a span, the whole example without a field."""

    field: str | None
    span: tuple[int, int] | None


def excerpt_of(example: Example, fault: Place, *, secrets: Iterable[Place] = ()) -> Excerpt | None:
    """What to show of the example; nothing where all of it is secret, or it is not clear which part is."""
    content = copy.deepcopy(example.content())
    secrets = tuple(secrets)
    words = _words(content, secrets)
    for secret in secrets:
        if secret.field is None or not mask(content, secret.field, secret.span):
            return None
    texts = dict(_texts(example, content))
    found = text_at(content, fault.field)
    if fault.field is not None and fault.field not in texts and found is not None:
        texts = _inserted(texts, fault.field, found)
    texts = {field: _without(text, words) for field, text in texts.items()}
    shown = _chosen(list(texts), fault.field)
    roles = dict(_roles(example))
    parts = [
        _part(field, texts[field], fault.span if field == fault.field else None, faulty=field == fault.field)
        for field in shown
    ]
    return Excerpt(
        tuple(_with_role(part, roles.get(_turn_of(part.field))) for part in parts), left_out=len(texts) - len(shown)
    )


def excerpt_of_text(field: str, text: str, span: tuple[int, int] | None, secrets: Iterable[Place] = ()) -> Excerpt:
    """What to show of a text that is no example, such as a row that could not be read."""
    for secret in secrets:
        text = masked(text, secret.span)
    return Excerpt((_part(field, text, span, faulty=True),))


def _words(content: JsonValue, secrets: Iterable[Place]) -> list[str]:
    """The secrets themselves, the longest first: what was found once may stand where no rule finds it."""
    found: set[str] = set()
    for secret in secrets:
        text = text_at(content, secret.field) or ""
        start, end = clamped(secret.span or (0, len(text)), len(text))
        found.add(text[start:end])
    return sorted((word for word in found if len(word) >= _SHORTEST_WORD), key=lambda word: (-len(word), word))


def _without(text: str, words: Iterable[str]) -> str:
    for word in words:
        text = text.replace(word, masked(word, None))
    return text


def _texts(example: Example, content: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(example, CompletionExample):
        fields = ["prompt", "completion"]
    else:
        fields = [f"{where}.content" for where, _ in turns_of(example)]
    for field in fields:
        yield field, text_at(content, field) or ""


def _roles(example: Example) -> Iterator[tuple[str, str]]:
    if not isinstance(example, CompletionExample):
        yield from ((where, message.role) for where, message in turns_of(example))


def _inserted(texts: Mapping[str, str], field: str, text: str) -> dict[str, str]:
    """The text beside that of its message, else at the end."""
    turn = _turn_of(field)
    whole: dict[str, str] = {}
    for known, value in texts.items():
        whole[known] = value
        if turn and _turn_of(known) == turn:
            whole[field] = text
    whole.setdefault(field, text)
    return whole


def _chosen(fields: list[str], faulty: str | None) -> list[str]:
    """The text that the finding is about with those beside it; else the first and the last ones."""
    if len(fields) <= _PARTS:
        return fields
    if faulty in fields:
        first = max(0, min(fields.index(faulty) - 2, len(fields) - _PARTS))
        return fields[first : first + _PARTS]
    return [*fields[: _PARTS - 1], fields[-1]]


def _turn_of(field: str) -> str:
    found = _TURN.match(field)
    return found[0] if found else ""


def _with_role(part: Part, role: str | None) -> Part:
    if role is None:
        return part
    return Part(part.field, part.text, role, part.faulty, part.marks, part.cut_before, part.cut_after)


def _part(field: str, text: str, span: tuple[int, int] | None, *, faulty: bool) -> Part:
    length = _LENGTH if faulty else _LENGTH_BESIDE
    first, last = clamped(span, len(text)) if span is not None else (0, 0)
    start = 0 if len(text) <= length else max(0, min(first - _BEFORE_MARK, len(text) - length))
    end = min(len(text), start + length)
    marks = ((first - start, min(last, end) - start),) if span is not None and first < last else ()
    return Part(field, text[start:end], None, faulty, marks, start, len(text) - end)
