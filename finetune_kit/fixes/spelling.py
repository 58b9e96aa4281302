"""One label in several spellings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from finetune_kit.labels import closed_labels
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.validators.label_likeness import plain


@dataclass(frozen=True, slots=True)
class LabelSpelling:
    """Labels that differ only in case, width, spacing and punctuation around them get the spelling of most rows.

    Nothing is done where the completions are no closed set of labels.
    """

    code = "look_alike_label"
    safe = False
    description = "spell the label as most rows do"

    def plan(self, rows: Rows) -> Iterator[tuple[int, CompletionExample]]:
        """Each row with another spelling."""
        if not closed_labels(rows):
            return
        times = Counter(example.completion for example in rows if isinstance(example, CompletionExample))
        best: dict[str, str] = {}
        for label, _ in sorted(times.items(), key=lambda item: (-item[1], item[0])):
            best.setdefault(plain(label), label)
        for row, example in enumerate(rows):
            if (
                isinstance(example, CompletionExample)
                and (label := best[plain(example.completion)]) != example.completion
            ):
                yield row, replace(example, completion=label)
