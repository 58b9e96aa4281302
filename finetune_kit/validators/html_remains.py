"""Markup of web pages in texts that are not about it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.entities import html5

from finetune_kit.records import Example
from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import texts_of, without_code, written_texts_of

_VOID = "br|hr|img|input|link|meta|wbr"
_NAMED = (
    "a|abbr|article|aside|audio|b|big|blockquote|body|button|caption|center|cite|code|col|colgroup|dd|del|details|div|"
    "dl|dt|em|fieldset|figcaption|figure|font|footer|form|h[1-6]|head|header|html|i|iframe|ins|label|legend|li|main|"
    "mark|nav|nobr|ol|option|p|picture|pre|q|s|script|section|select|small|source|span|strike|strong|style|sub|summary|"
    "sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|tt|u|ul|video"
)
# An opening tag alone may be a placeholder or a word of mathematics; a closing one, or one with an attribute, is not.
_TAG = re.compile(
    rf"</(?:{_NAMED})\s*>|<(?:{_VOID})(?:\s[^<>]{{0,2000}})?/?>|"
    rf"<(?:{_NAMED})\s+[a-z-]{{1,40}}\s*=\s*[\"'\w#][^<>]{{0,2000}}>|<!--|<!doctype\b",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,31}));")
_ABOUT_MARKUP = re.compile(
    r"(?<![./\w-])(?:x?html5?|xml|css|jsx|xpath)(?![\w-])|javascript|markup|标签|网页", re.IGNORECASE | re.ASCII
)
_INSIDE_TAG = re.compile(r"<[^<>]{0,2000}>")

_TAG_BYTES = re.compile(rb"<[A-Za-z/!]")
_ENTITY_BYTES = re.compile(rb"&(?:#[0-9xX]|[A-Za-z][A-Za-z0-9]{1,31};)")


@dataclass(frozen=True, slots=True)
class HtmlRemains:
    """Tags and entities that a web page left behind are learnt as if they were words.

    Bad:  `{"prompt": "Where&#39;s my parcel?", "completion": "<p>At your neighbour&rsquo;s.</p>"}`
    Good: `{"prompt": "Where's my parcel?", "completion": "At your neighbour's, if a < b."}`
    """

    code = "html"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each text with remains, outside code and in examples that are not about markup."""
        return [issue for row in _candidates(batch) for issue in self._judge(row, batch.example(row))]

    def _judge(self, row: int, example: Example) -> list[Issue]:
        found = [
            (field, *remains)
            for field, text in written_texts_of(example)
            if (remains := find_remains(without_code(text)))
        ]
        if found and any(_ABOUT_MARKUP.search(_INSIDE_TAG.sub("", text)) for _, text in texts_of(example)):
            return []
        return [
            Issue(
                self.code,
                Severity.WARNING,
                f"the text holds {what}",
                row=row,
                field=field,
                hint='Make it plain text: `clean(fixes=["html_entities"])` undoes entities. Put code into backticks.',
                span=span,
            )
            for field, what, span in found
        ]


def find_remains(text: str) -> tuple[str, tuple[int, int]] | None:
    """What kind of remains the text holds, and where the first stands."""
    if "<" in text and (tag := _TAG.search(text)):
        return "HTML tags", tag.span()
    if "&" in text:
        for found in _ENTITY.finditer(text):
            name = found.group(1)
            if name is None or f"{name};" in html5:
                return "HTML entities", found.span()
    return None


def _candidates(batch: Batch) -> list[int]:
    raw = batch.raw
    found = raw.rows(_TAG_BYTES) if b"<" in raw else []
    if b"&" in raw:
        found += raw.rows(_ENTITY_BYTES)
    return sorted(set(found)) if found else found
