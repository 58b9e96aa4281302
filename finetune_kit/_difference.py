"""Two states of one example side by side, as text for a terminal and as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from html import escape

import orjson

from finetune_kit.records import CompletionExample, Example, Message, turns_of

_CONTEXT = 40
_LONGEST = 400
_MOST_STEPS = 60
_MOST_TOKENS = 300
"""Longer stretches are not compared word by word, which takes quadratic time."""
_MASK = "•••"
_TOKEN = re.compile(r"[\u2e80-\u9fff\uac00-\ud7a3]|\w+|\s+|.", re.DOTALL)

Step = tuple[str, str]
"""`=`, `-` or `+`, and the text that stayed, went or came."""


def inline_lines(where: str, code: str, before: Example, after: Example | None, *, hidden: bool) -> Iterator[str]:
    """The row's place, then each part that differs with its changes marked; what went is masked if `hidden`."""
    if after is None:
        yield f"{where} ({code}): dropped"
        yield from (f"  - {name}: {_printable(_gone(text, hidden=hidden))}" for name, text in _parts(before).items())
        return
    yield f"{where} ({code}):"
    marks = {"=": ("", ""), "-": ("[-", "-]"), "+": ("{+", "+}")}
    for name, old, new in _differing(before, after):
        told = [f"{marks[kind][0]}{_printable(text)}{marks[kind][1]}" for kind, text in _shown(old, new, hidden=hidden)]
        yield f"    {name}: {''.join(told)}"


def unified_lines(where: str, code: str, before: Example, after: Example | None, *, hidden: bool) -> Iterator[str]:
    """The row's place in two lines as in a patch, then what was there with - and what is there with +."""
    yield f"--- {where}"
    yield f"+++ {'dropped' if after is None else where} ({code})"
    if after is None:
        yield from (f"-{name}: {_printable(_gone(text, hidden=hidden))}" for name, text in _parts(before).items())
        return
    for name, old, new in _differing(before, after):
        steps = _shown(old, new, hidden=hidden)
        for sign in "-+":
            text = "".join(text for kind, text in steps if kind in ("=", sign))
            if (new if sign == "+" else old) is not None:
                yield f"{sign}{name}: {_printable(text)}"


def as_html(before: Example, after: Example | None, *, hidden: bool) -> str:
    """What went in `<del>`, what came in `<ins>`."""
    if after is None:
        parts = [(name, [("-", _gone(text, hidden=hidden))]) for name, text in _parts(before).items()]
    else:
        parts = [(name, _shown(old, new, hidden=hidden)) for name, old, new in _differing(before, after)]
    tags = {"=": ("", ""), "-": ("<del>", "</del>"), "+": ("<ins>", "</ins>")}
    return "<br>".join(
        f"{escape(name)}: "
        + "".join(f"{tags[kind][0]}{escape(_printable(text))}{tags[kind][1]}" for kind, text in steps)
        for name, steps in parts
    )


def _parts(example: Example) -> dict[str, str]:
    """The texts of an example by their names, and all else as JSON."""
    if isinstance(example, CompletionExample):
        parts = {"prompt": example.prompt, "completion": example.completion}
    else:
        parts = {f"{where} {message.role}": _said(message) for where, message in turns_of(example)}
        if example.more:
            parts["more"] = _json(dict(example.more))
    if example.metadata:
        parts["metadata"] = _json(dict(example.metadata))
    return parts


def _said(message: Message) -> str:
    text = message.content if isinstance(message.content, str) else _json(message.content)
    return f"{text} {_json(dict(message.more))}" if message.more else text


def _json(value: object) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode() if _plain(value) else repr(value)


def _plain(value: object) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:  # numbers beyond 64 bits
        return False
    return True


def _differing(before: Example, after: Example) -> Iterator[tuple[str, str | None, str | None]]:
    old, new = _parts(before), _parts(after)
    for name in dict.fromkeys([*old, *new]):
        if old.get(name) != new.get(name):
            yield name, old.get(name), new.get(name)


def _shown(old: str | None, new: str | None, *, hidden: bool) -> list[Step]:
    """The steps as they are to be read."""
    return list(_shortened(_steps(old, new), hidden=hidden))


def _steps(old: str | None, new: str | None) -> list[Step]:
    """How to come from one text to the other."""
    if old is None or new is None:
        return [("-", old)] if old is not None else [("+", new or "")]
    first, second = _TOKEN.findall(old), _TOKEN.findall(new)
    start = _common(first, second)
    end = _common(first[start:][::-1], second[start:][::-1])
    middle, other = first[start : len(first) - end], second[start : len(second) - end]
    steps = [("=", "".join(first[:start]))]
    if len(middle) > _MOST_TOKENS or len(other) > _MOST_TOKENS:
        steps += [("-", "".join(middle)), ("+", "".join(other))]
    else:
        for _, low, high, low2, high2 in SequenceMatcher(None, middle, other, autojunk=False).get_opcodes():
            went, came = "".join(middle[low:high]), "".join(other[low2:high2])
            steps += [("=", went)] if went == came else [("-", went), ("+", came)]
    steps.append(("=", "".join(first[len(first) - end :])))
    return [(kind, text) for kind, text in steps if text]


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """How many tokens are the same from the beginning."""
    pairs = zip(first, second, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _shortened(steps: Sequence[Step], *, hidden: bool) -> Iterator[Step]:
    """What stayed, only near what did not."""
    for place, (kind, text) in enumerate(steps):
        if place == _MOST_STEPS:
            yield "=", "…"
            return
        if kind != "=":
            yield kind, _gone(text, hidden=hidden) if kind == "-" else _cut(text)
        elif len(text) <= 2 * _CONTEXT + 1:
            yield kind, text
        else:
            head = text[:_CONTEXT] if place else ""
            tail = text[-_CONTEXT:] if place < len(steps) - 1 else ""
            yield kind, f"{head}…{tail}"


def _gone(text: str, *, hidden: bool) -> str:
    return _MASK if hidden else _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _printable(text: str) -> str:
    # The data must not command the terminal; what cannot be seen is shown by its number.
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
