"""Prompts and completions from all over a data set, to see what most of them are like before all are looked at."""

from __future__ import annotations

import random
from dataclasses import dataclass

from finetune_kit.records import CompletionExample
from finetune_kit.rows import Batch

_MOST = 2_000


@dataclass(frozen=True, slots=True)
class Sample:
    """Some rows in order, or all of a small set."""

    prompts: list[str]
    completions: list[str]
    whole: bool
    """Whether these are all."""

    def __len__(self) -> int:
        return len(self.prompts)


def sample_of(batch: Batch) -> Sample:
    """A sample of the whole set that the batch belongs to; empty where its rows are not prompts and completions."""
    rows = batch.rows
    if rows.kind != "completion":
        return Sample([], [], whole=False)
    if len(rows) <= _MOST:
        parts = list(rows.batches())
        prompts = [prompt for part in parts for prompt in part.prompts]
        return Sample(prompts, [completion for part in parts for completion in part.completions], whole=True)
    # At random, the same each time: equal distances would miss what stands in every third row.
    picked = [rows[number] for number in sorted(random.Random(0).sample(range(len(rows)), _MOST))]
    pairs = [(row.prompt, row.completion) for row in picked if isinstance(row, CompletionExample)]
    return Sample([prompt for prompt, _ in pairs], [completion for _, completion in pairs], whole=False)
