"""How texts begin and end alike, and whether that is a mark somebody put there or their own words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from finetune_kit.templates import SEPARATORS, STOPS

LONGEST = 200
"""Characters at either end that are compared."""

# What ends sentences, quotations, lists and numbers anyway.
_NATURAL = frozenset(".,;!?…·'\"`’”»)]}>。，、；！？」』）】》％%€$£¥°")
_MARK_SIGNS = frozenset("-=#|*~+&@<>:$%")
_SINGLE_MARKS = frozenset(":：#|=~")
_CLOSING = re.compile(r"\W*\Z")
_TITLED = re.compile(r"\n+[^\n]{1,40}[:：]\s*\Z")
_KNOWN_SEPARATORS = tuple(sorted(SEPARATORS, key=len, reverse=True))
# A line feed alone or a full stop may be there for other reasons.
_KNOWN_STOPS = tuple(stop for stop in STOPS if stop.strip())

_END_WORDS = frozenset({"END", "STOP", "DONE", "EOF", "EOS", "ENDOFTEXT", "IM_END", "/S"})
_BRACKETS = "[]<>()|#*-= "

_NEARLY_ALL = 0.9
# Behind these a word may begin without a space; a full stop stands inside addresses, a dash inside dates.
_BREAK_AFTER = frozenset(':：，。！？；、）】》」”"')


def shared_beginning(texts: Sequence[str]) -> str:
    """How all texts begin, up to the end of a word."""
    if not texts:
        return ""
    low, high = min(texts)[:LONGEST], max(texts)[:LONGEST]
    size = next((place for place, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), None)
    shared = low[: min(len(low), len(high)) if size is None else size]
    return _to_word_end(shared, texts)


def _to_word_end(shared: str, texts: Sequence[str]) -> str:
    while shared and not all(_parts(shared, text[len(shared) : len(shared) + 1]) for text in texts):
        end = next((place for place in range(len(shared) - 1, 0, -1) if _parts(shared[:place], shared[place])), 0)
        shared = shared[:end]
    return shared


def _parts(before: str, after: str) -> bool:
    """Whether a word ends between the two, for people of any script and for the parts of dates, paths and codes."""
    if not after or after.isspace() or before[-1].isspace():
        return True
    return before[-1] in _BREAK_AFTER and not before[-2:-1].isdigit() and after not in "/\\-_.:,"


def is_worded(beginning: str) -> bool:
    """Whether it is made of words, such as "Answer: ", not of a date, a number or a code."""
    words = beginning.split()
    return any(len(word.strip("\"'([:：,.")) > 1 for word in words if word[:1].isalpha()) and not any(
        letter.isdigit() for letter in beginning
    )


def shared_ending(texts: Sequence[str]) -> str:
    """How all texts end, from the beginning of a word and without the marks that end sentences anyway."""
    if not texts:
        return ""
    tails = [text[: -LONGEST - 1 : -1] for text in texts]
    low, high = min(tails), max(tails)
    size = next((place for place, (one, other) in enumerate(zip(low, high, strict=False)) if one != other), None)
    shared = low[: min(len(low), len(high)) if size is None else size][::-1]
    if shared[:1].isalnum() and any(text[-len(shared) - 1 : -len(shared)].isalnum() for text in texts):
        shared = shared[next((place for place, sign in enumerate(shared) if not sign.isalnum()), len(shared)) :]
    return _without_natural(shared)


def _without_natural(mark: str) -> str:
    start = next((place for place, sign in enumerate(mark) if sign not in _NATURAL), len(mark))
    return mark[start:] or ""


def likely_mark(texts: Sequence[str], *, stops: bool) -> str:
    """What most likely was put behind texts to mark their end; empty where nothing looks so."""
    shared = shared_ending(texts)
    everywhere = is_mark(shared, stop=stops)
    if everywhere and shared in (_KNOWN_STOPS if stops else _KNOWN_SEPARATORS):
        return shared
    counted = Counter(mark for text in texts for mark in _candidates(text, stops=stops))
    best, times = max(counted.items(), key=lambda item: (item[1], len(item[0])), default=("", 0))
    if everywhere and not (best.endswith(shared) and times >= len(texts) * _NEARLY_ALL):
        return shared  # nor is it the end of a longer one that but a few texts lack
    return best


def _candidates(text: str, *, stops: bool) -> Iterator[str]:
    """The unmistakable marks at the end of one text."""
    tail = text[-LONGEST:]
    known = _KNOWN_STOPS if stops else _KNOWN_SEPARATORS
    mark = next((mark for mark in known if tail.endswith(mark)), None)
    if mark is not None:
        yield mark
        return
    if not stops and (titled := _TITLED.search(tail)):
        yield titled[0]
    closing = _CLOSING.search(tail)
    mark = "" if closing is None else _without_natural(closing[0])
    if _is_unmistakable(mark):
        yield mark
    elif stops and tail.endswith("\n"):
        yield "\n"


def is_mark(ending: str, *, stop: bool) -> bool:
    """Whether an ending that all texts have was put there as a mark, and is not how such texts end anyway."""
    core = ending.strip()
    if not core:
        return "\n" in ending
    if ending in (_KNOWN_STOPS if stop else _KNOWN_SEPARATORS):
        return True
    return (
        _is_worded_mark(ending, core, stop=stop) if any(map(str.isalnum, core)) else _is_drawn(ending, core, stop=stop)
    )


def _is_worded_mark(ending: str, core: str, *, stop: bool) -> bool:
    word = core.strip(_BRACKETS)
    if word in _END_WORDS or (core[-1] in "]>" and word.upper() in _END_WORDS):
        return True
    return not stop and (core[-1] in _SINGLE_MARKS or core[-1] == ">" or "\n" in ending)


def _is_drawn(ending: str, core: str, *, stop: bool) -> bool:
    if all(sign in _NATURAL for sign in core):
        return False
    if len(core) > 1 and all(sign in _MARK_SIGNS for sign in core):
        return True
    return not stop and ("\n" in ending or core[-1] in _SINGLE_MARKS)


def _is_unmistakable(mark: str) -> bool:
    """Whether a mark is one even where only some texts have it."""
    core = mark.strip()
    if not all(sign in _MARK_SIGNS for sign in core) or not core:
        return False
    return len(core) > 2 or core in {"->", "=>"} or ("\n" in mark.lstrip(" ") and len(core) > 1)
