"""What prompts have in common around what they ask: a separator at the end, a header in front, a system message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import NamedTuple

from finetune_kit._asked import asked_and_answered, instructions
from finetune_kit._keys import folded, key_of
from finetune_kit.near import batches_of, searched_by_default
from finetune_kit.rows import NOTHING_ASKED, Rows

_WORD_END = re.compile(r"\w+\Z")
_WORD_START = re.compile(r"\A\w+")
# Shorter remains are the like of "7": what differs in a form that is filled in, and may be equal by chance.
_LEAST_BYTES = 8


class Around(NamedTuple):
    """What stands before and behind each prompt of a side."""

    before: str
    behind: str


def same_inside(training: Rows, validation: Rows) -> dict[int, int]:
    """For each validation row that asks what a training row asks but for the text around it, the first such row.

    Rows are only read where a side has such a text, and the other side another or none.
    """
    sides = around(training), around(validation)
    if sides[0] == sides[1] and not _systems_differ(training, validation):
        return {}
    befores = sorted({side.before for side in sides}, key=len, reverse=True)
    behinds = sorted({side.behind for side in sides}, key=len, reverse=True)
    of_validation: dict[int, bytes] = {}
    for row, text in _prompts(validation):
        if key := _inside(text, befores, behinds):
            of_validation[row] = key
    wanted = set(of_validation.values())
    first: dict[bytes, int] = {}
    for row, text in _prompts(training):
        key = _inside(text, befores, behinds)
        if key is not None and key in wanted:
            first.setdefault(key, row)
    return {row: first[key] for row, key in of_validation.items() if key in first}


def around(rows: Rows) -> Around:
    """What all prompts begin and end with, in whole words; nothing for fewer than two prompts."""
    prompts = (text for _, text in _prompts(rows))
    texts = list(islice(prompts, 2))
    if len(texts) < 2:
        return Around("", "")
    before = behind = texts[0]
    for text in chain(texts[1:], prompts):
        if not text.startswith(before):
            before = _WORD_END.sub("", _beginning(before, text))
        if not text.endswith(behind):
            behind = _WORD_START.sub("", _beginning(behind[::-1], text[::-1])[::-1])
        if not before and not behind:
            break
    return Around(before, behind) if before != texts[0] else Around("", "")  # all are equal: there is nothing inside


def _beginning(one: str, other: str) -> str:
    """What both begin with."""
    differ = (place for place, (here, there) in enumerate(zip(one, other, strict=False)) if here != there)
    return one[: next(differ, min(len(one), len(other)))]


def _inside(text: str, befores: list[str], behinds: list[str]) -> bytes | None:
    text = text.removeprefix(next(filter(text.startswith, befores), ""))
    text = text.removesuffix(next(filter(text.endswith, behinds), ""))
    inside = folded(text)
    return key_of(inside) if len(inside) >= _LEAST_BYTES else None


def _systems_differ(training: Rows, validation: Rows) -> bool:
    """Whether conversations have several system messages; of large sets only the beginning is looked at."""
    if training.kind == "completion":
        return False
    whole = searched_by_default(training, validation)
    batches = (batches_of(rows) if whole else islice(batches_of(rows), 1) for rows in (training, validation))
    seen = {instructions(example) for batch in chain.from_iterable(batches) for example in batch.examples}
    return len(seen) > 1


def _prompts(rows: Rows) -> Iterator[tuple[int, str]]:
    for batch in batches_of(rows):
        silent = set(batch.flagged(NOTHING_ASKED))
        for row, example in enumerate(batch.examples, batch.start):
            if row not in silent and (text := asked_and_answered(example)[0]):
                yield row, text
