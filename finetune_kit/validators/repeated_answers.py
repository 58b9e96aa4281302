"""One answer to very many questions."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit.repeats import repeated
from finetune_kit.rows import Batch, Rows
from finetune_kit.validators.closed_set import ClosedSet
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import last_answers

_UNSIGNED = (1 << 64) - 1


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

    def start(self) -> RepeatedAnswersCheck:
        """Begin a run."""
        return RepeatedAnswersCheck(self)


@dataclass(slots=True)
class RepeatedAnswersCheck:
    """Keeps a hash of each answer."""

    rule: RepeatedAnswers
    _closed: ClosedSet = field(default_factory=ClosedSet)
    _answers: array[int] = field(default_factory=lambda: array("q"))
    _rows: Rows | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """Nothing is certain before the end."""
        self._rows = batch.rows
        answers = last_answers(batch)
        self._closed.see(answers, len(batch))
        self._answers.extend(map(hash, answers))
        return ()

    def finish(self) -> Iterator[Issue]:
        """A warning for each answer, at the first row that has it."""
        if self._rows is None or self._closed.is_closed:
            return
        least = max(self.rule.least, int(self.rule.share * len(self._answers)))
        several = repeated(array("Q", self._answers.tobytes()))
        times = Counter(answer for answer in self._answers if answer & _UNSIGNED in several) if several else {}
        for answer, count in times.items():
            if count >= least and (found := self._judge(self._rows, answer, least)):
                yield found

    def _judge(self, rows: Rows, answer: int, least: int) -> Issue | None:
        given = [row for row, other in enumerate(self._answers) if other == answer]
        asked = len({rows.key(row) for row in given})
        [batch] = rows[given[0] : given[0] + 1].batches()
        text = last_answers(batch)[0].strip()
        length = len(text) if text.isascii() else len(text.encode()) * 2 // 3
        if asked < least or length < self.rule.long:
            return None
        return Issue(
            self.rule.code,
            Severity.WARNING,
            f"one answer is given to {asked:,} different prompts, {asked / len(self._answers):.0%} of the examples",
            row=given[0],
            field="completion" if rows.kind == "completion" else None,
            hint="Write answers to what was asked, or keep a few of these rows.",
        )
