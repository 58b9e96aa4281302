"""Texts that somebody meant to write later."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.label_counts import labels_of
from finetune_kit.validators.texts import answers_of, last_answers, without_code, written_texts_of

_UNWRITTEN = frozenset(
    (
        *("todo", "tbd", "tba", "fixme", "wip", "placeholder", "lorem", "lorem ipsum", "foobar", "...", "……"),
        *("asdf", "asdfasdf", "asdfgh", "asdfghjkl", "qwerty", "qwertyuiop", "xxx", "xxxx", "xxxxx", "xxxxxx"),
        *(
            "待补充",
            "待填写",
            "待定",
            "待完善",
            "待添加",
            "待更新",
            "占位符",
            "占位",
            "未完成",
            "此处填写答案",
            "请填写",
        ),
    )
)
_NOTHING = frozenset(
    (
        *("n/a", "n.a.", "n.a", "na", "none", "null", "nil", "nan", "undefined", "#n/a", "#ref!", "#value!"),
        *("-", "--", "---", "?", "??", "???", ".", "/", "无", "暂无", "空", "不适用"),
    )
)
_LONGEST = max(map(len, _UNWRITTEN | _NOTHING)) + 8
"""With spaces and brackets around it."""
_ENDS = " \t\r\n。.!！:：[]【】()（）<>"

_BEGINS = re.compile(r"\s*(?:TODO|TBD|FIXME)\b(?!\s*list)", re.ASCII)
_BEGINS_BYTES = re.compile(rb'"(?:\\)*(?:TODO|TBD|FIXME)')

_LOREM = re.compile(r"[Ll]orem ipsum dolor|LOREM IPSUM DOLOR")
_LOREM_BYTES, _LOREM_CAPITALS = b"orem ipsum dolor", b"OREMIPSUMDOLOR"
_BRACES = re.compile(r"(?<![\w\\^}])\{\{[ \t]{0,8}[^\W\d_][\w .\-/#]{0,60}\}\}(?!\})")
_REST = r"[\w ,'’/\-]{2,60}"
_SLOT = (
    rf"(?:insert|enter|fill in) {_REST}|your[ _-]{_REST}|"
    r"(?:customer|company|client|recipient|user|full|first|last)(?:['’]?s)?[ _-](?:name|address|e-?mail|phone|number)"
)
_WORDS = r"name|date|address|e-?mail|phone(?: number)?"
_BRACKETS = re.compile(rf"\[(?:{_SLOT}|{_WORDS})\](?![(\[])", re.IGNORECASE)
_ANGLES = re.compile(rf"<(?:{_SLOT})>", re.IGNORECASE)
_IN_TEXT = (
    (_LOREM, "the text holds lorem ipsum"),
    (_BRACES, "the text holds a placeholder in braces that nothing was put into"),
    (_BRACKETS, "the text holds a placeholder in brackets that nothing was put into"),
    (_ANGLES, "the text holds a placeholder in angle brackets that nothing was put into"),
)
_BRACES_BYTES = re.compile(rb"\{\{[ \t\\]{0,16}[A-Za-z\x80-\xff]")
_FIRST_WORDS = rb"(?i:ins|ent|fill|your|name|cust|comp|cli|rec|user|full|first|last|date|addr|e-?ma|pho)"
_BRACKETS_BYTES = re.compile(rb"\[" + _FIRST_WORDS)
_ANGLES_BYTES = re.compile(rb"<" + _FIRST_WORDS)

_HINT = "Write the real text, or drop the row."


@dataclass(frozen=True, slots=True)
class Placeholders:
    """What stands in for a text not yet written is learnt as if it were the text.

    Labels of a closed set are never meant: there, "none" and "NA" are honest answers.

    Bad:  `{"prompt": "Dear {{name}}, where is my parcel?", "completion": "TODO"}`
    Good: `{"prompt": "Where is my parcel?", "completion": "On your to-do list."}`
    """

    code = "placeholder"

    def start(self) -> PlaceholdersCheck:
        """Begin a run."""
        return PlaceholdersCheck(self.code)


@dataclass(slots=True)
class PlaceholdersCheck:
    """Keeps whole answers back until it is known whether answers are labels."""

    code: str
    _whole: array[int] = field(default_factory=lambda: array("Q"))
    _nothing: array[int] = field(default_factory=lambda: array("Q"))
    _last: Batch | None = None

    def see(self, batch: Batch) -> Iterable[Issue]:
        """A warning for each text with a placeholder in it."""
        self._last = batch
        answers = last_answers(batch)
        if min(map(len, answers), default=_LONGEST) <= _LONGEST:
            for row, answer in enumerate(answers, batch.start):
                if len(answer) <= _LONGEST:
                    self._note(row, answer)
        return [
            Issue(self.code, Severity.WARNING, message, row=row, field=where, hint=_HINT, span=span)
            for row in _candidates(batch)
            for where, message, span in _in_texts(batch, row)
        ]

    def _note(self, row: int, answer: str) -> None:
        bare = answer.strip().lower()
        if bare in _NOTHING and answer.strip() != "Na":  # sodium
            self._nothing.append(row)
        elif bare in _UNWRITTEN or bare.strip(_ENDS) in _UNWRITTEN:
            self._whole.append(row)

    def finish(self) -> Iterator[Issue]:
        """A warning for each answer that is a placeholder, a note for each that says only that there is none."""
        if self._last is None or not (self._whole or self._nothing):
            return
        labels = self._last.view(labels_of)
        if labels is not None and len(labels.counts) > 1:
            return
        where = "completion" if self._last.kind == "completion" else None
        for row in self._whole:
            message = "the answer is only a placeholder"
            yield Issue(self.code, Severity.WARNING, message, row=row, field=where, hint=_HINT)
        for row in self._nothing:
            message = "the answer says only that there is none"
            hint = "Write the answer that the model should give, or drop the row, if nothing was meant to stand here."
            yield Issue(self.code, Severity.INFO, message, row=row, field=where, hint=hint)


def _in_texts(batch: Batch, row: int) -> Iterator[tuple[str, str, tuple[int, int]]]:
    example = batch.example(row)
    for where, text in written_texts_of(example):
        if inside := find_placeholder(text):
            yield where, *inside
    for where, text in answers_of(example):
        if (found := _BEGINS.match(text)) and text.strip(_ENDS).lower() not in _UNWRITTEN:
            yield where, "the answer begins as a note of what is still to do", found.span()


def find_placeholder(text: str) -> tuple[str, tuple[int, int]] | None:
    """What kind of placeholder the text holds outside of code, and where."""
    bare = without_code(text)
    for pattern, message in _IN_TEXT:
        if found := pattern.search(bare):
            return message, found.span()
    return None


def _candidates(batch: Batch) -> list[int]:
    raw, marks = batch.raw, batch.marks
    found = marks.rows(_BEGINS_BYTES) if b"TODO" in marks or b"TBD" in marks or b"FIXME" in marks else []
    found += raw.rows_with(_LOREM_BYTES)
    if _LOREM_CAPITALS in marks:
        found += raw.rows_with(_LOREM_BYTES.upper())
    if b"{{" in marks:
        found += raw.rows(_BRACES_BYTES)
    if b"[" in raw:
        found += raw.rows(_BRACKETS_BYTES)
    if b"<" in raw:
        found += raw.rows(_ANGLES_BYTES)
    return sorted(set(found)) if found else found
