"""Texts that were damaged before they came here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit._damage import damage_in
from finetune_kit.rows import DAMAGED, Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import texts_of

_LOST = (
    "characters were lost: U+FFFD stands in their place",
    "Take the text from its source again, and save it as UTF-8; what is lost cannot be told from what is left.",
)
_MISREAD = (
    'characters are garbled: UTF-8 was once read as another encoding, as "Ã©" is of "é"',
    'Take the text from its source again, and read it as UTF-8; or mend it by `clean(fixes=["mojibake"])`.',
)


@dataclass(frozen=True, slots=True)
class Mojibake:
    """Garbled or lost characters are learnt like any others, and the model writes them.

    Bad:  `{"prompt": "Where is the cafÃ©?", "completion": "In the R�merstraße."}`
    Good: `{"prompt": "Where is the café?", "completion": "In the Römerstraße."}`
    """

    code = "mojibake"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each damaged text."""
        return [issue for row in batch.flagged(DAMAGED) for issue in self._judge(batch, row)]

    def _judge(self, batch: Batch, row: int) -> Iterator[Issue]:
        elsewhere = True
        for field, text in texts_of(batch.example(row)):
            if span := damage_in(text):
                elsewhere = False
                yield self._issue(row, _LOST if text[span[0]] == "\ufffd" else _MISREAD, field, span)
        if elsewhere:  # in a name, a tool, an address
            yield self._issue(row, _MISREAD if b"\xef\xbf\xbd" not in batch.rows.content_line(row) else _LOST)

    def _issue(
        self, row: int, told: tuple[str, str], field: str | None = None, span: tuple[int, int] | None = None
    ) -> Issue:
        message, hint = told
        return Issue(self.code, Severity.WARNING, message, row=row, field=field, hint=hint, span=span)
