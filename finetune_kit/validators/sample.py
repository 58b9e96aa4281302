"""Prompts and completions from all over a data set, to see what most of them are like before all are looked at."""

from __future__ import annotations

import random
from dataclasses import dataclass

from finetune_kit.records import CompletionExample
from finetune_kit.rows import Batch

_MOST = 2_000
_END = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows in order, or all of a small set."""

    prompts: list[str]
    completions: list[str]

    def __len__(self) -> int:
        return len(self.prompts)


def sample_of(batch: Batch) -> Sample:
    """A sample of the whole set that the batch belongs to; empty where its rows are not prompts and completions."""
    rows = batch.rows
    if rows.kind != "completion":
        return Sample([], [])
    pairs: list[tuple[str, str]] = []
    if len(rows) <= _MOST:
        for part in rows.batches():
            pairs += zip(map(_ends, part.prompts), map(_ends, part.completions), strict=True)
    else:
        # At random, the same each time: equal distances would miss what stands in every third row.
        for number in sorted(random.Random(0).sample(range(len(rows)), _MOST)):
            row = rows[number]
            if isinstance(row, CompletionExample):
                pairs.append((_ends(row.prompt), _ends(row.completion)))
    return Sample([prompt for prompt, _ in pairs], [completion for _, completion in pairs])


def _ends(text: str) -> str:
    """A text as it is, or its two ends where it is so long that two thousand would fill the memory."""
    return text if len(text) <= 2 * _END else f"{text[:_END]}{text[-_END:]}"
