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
# U+FFFD, twice, written as UTF-8 and read as GBK.
_LOST_IN_GBK, _LOST_IN_GBK_BYTES = "锟斤拷", "锟斤拷".encode()
_LOST_TWICE = (f"characters were lost: {_LOST_IN_GBK} stands in their place", _LOST[1])
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
        found = [issue for row in batch.flagged(DAMAGED) for issue in self._judge(batch, row)]
        if _LOST_IN_GBK_BYTES in batch.raw:
            for row in batch.raw.rows_with(_LOST_IN_GBK_BYTES):
                found += self._lost_in_gbk(batch, row)
        return found

    def _lost_in_gbk(self, batch: Batch, row: int) -> Iterator[Issue]:
        for field, text in texts_of(batch.example(row)):
            start = text.find(_LOST_IN_GBK)
            if start >= 0:
                yield self._issue(row, _LOST_TWICE, field, (start, start + len(_LOST_IN_GBK)))

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
