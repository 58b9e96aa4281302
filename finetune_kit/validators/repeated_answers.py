"""One answer to very many questions."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch, Rows
from finetune_kit.validators.at_the_end import AtTheEnd
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import labels_of
from finetune_kit.validators.texts import last_answers

_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class RepeatedAnswers:
    """A model that learns one long answer to many questions gives it to others too.

    Labels of a closed set are never meant, nor are short answers.

    Bad:  every tenth of 1,000 different questions has the answer "Please contact our customer service by e-mail."
    Good: the answer "yes" to every tenth of them
    """

    share: float = 0.05
    """Of all rows, from which on it is a warning."""
    least: int = 10
    """Different prompts, below which it never is."""
    long: int = 30
    """Characters from which on an answer is no label; a Chinese one counts double."""

    code = "repeated_answer"

    def start(self) -> AtTheEnd:
        """Begin a run."""
        return AtTheEnd(self._judge)

    def _judge(self, last: Batch) -> Iterator[Issue]:
        often = self._often(last.rows)
        labels = last.view(labels_of) if often else None
        if labels is not None and len(labels.counts) > 1:
            return
        least = max(self.least, int(self.share * len(last.rows)))
        for rows in _rows_of(often, last.rows).values():
            asked = len({last.rows.key(row) for row in rows})
            if asked >= least:
                yield self._issue(last.rows, rows[0], asked)

    def _often(self, rows: Rows) -> set[str]:
        """Long answers that are frequent enough in a sample, so that most sets need not be looked at again."""
        sample = rows
        if len(rows) > _LOOKED_AT:  # at random: what comes in a rhythm would escape equal distances
            sample = rows.take(sorted(random.Random(0).sample(range(len(rows)), _LOOKED_AT)))
        times = Counter(answer for batch in sample.batches() for answer in last_answers(batch))
        # Half the share, because a sample is not the whole.
        least = self.least if sample is rows else self.share * len(sample) / 2
        return {answer for answer, count in times.items() if count >= least and self._is_long(answer)}

    def _is_long(self, answer: str) -> bool:
        text = answer.strip()
        return (len(text) if text.isascii() else len(text.encode()) * 2 // 3) >= self.long

    def _issue(self, rows: Rows, row: int, asked: int) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            f"one answer is given to {asked:,} different prompts, {asked / len(rows):.0%} of the examples",
            row=row,
            field="completion" if rows.kind == "completion" else None,
            hint="Write answers to what was asked, or keep a few of these rows.",
        )


def _rows_of(answers: set[str], rows: Rows) -> dict[str, array[int]]:
    found: dict[str, array[int]] = {}
    for batch in rows.batches() if answers else ():
        for row, answer in enumerate(last_answers(batch), batch.start):
            if answer in answers:
                found.setdefault(answer, array("Q")).append(row)
    return found
