"""Other words for the same: never done unasked, because only people know what they meant."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from finetune_kit._arguments import string
from finetune_kit._damage import mended
from finetune_kit.errors import ParameterError
from finetune_kit.fixes.texts import Where, with_texts
from finetune_kit.records import Example
from finetune_kit.rows import DAMAGED, Batch

# Only those that end in a semicolon: the "&copy" in "?id=1&copy=2" is no copyright sign.
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_ENTITY_BYTES = re.compile(rb"&[#A-Za-z]")


@dataclass(frozen=True, slots=True)
class LowerCase:
    """All letters become small ones."""

    where: Where = "all"

    code = "letter_case"
    safe = False
    description = "write it in small letters"

    def mend(self, example: Example) -> Example:
        """The example in small letters."""
        return with_texts(example, str.lower, self.where)


@dataclass(frozen=True, slots=True)
class StripPrefix:
    """A text that begins with the prefix loses it, unless nothing would be left."""

    prefix: str
    where: Where = "completion"

    safe = False
    description = "take the prefix off"

    def __post_init__(self) -> None:
        _check_affix("prefix", self.prefix)

    @property
    def code(self) -> str:
        """Of the rule about prompts or about completions."""
        return "prompt_prefix" if self.where == "prompt" else "completion_prefix"

    def mend(self, example: Example) -> Example:
        """The example without the prefix."""
        return with_texts(example, self._stripped, self.where)

    def _stripped(self, text: str) -> str:
        left = text.removeprefix(self.prefix)
        return left if left.strip() else text


@dataclass(frozen=True, slots=True)
class StripSuffix:
    """A text that ends with the suffix loses it, unless nothing would be left."""

    suffix: str
    where: Where = "completion"

    safe = False
    description = "take the suffix off"

    def __post_init__(self) -> None:
        _check_affix("suffix", self.suffix)

    @property
    def code(self) -> str:
        """Of the rule about prompts or about completions."""
        return "prompt_suffix" if self.where == "prompt" else "completion_suffix"

    def mend(self, example: Example) -> Example:
        """The example without the suffix."""
        return with_texts(example, self._stripped, self.where)

    def _stripped(self, text: str) -> str:
        left = text.removesuffix(self.suffix)
        return left if left.strip() else text


def _check_affix(name: str, value: object) -> None:
    if not string(name, value):
        raise ParameterError(f"{name} is empty. Say which text goes.", parameter=name)


@dataclass(frozen=True, slots=True)
class UnicodeForm:
    """Characters are written in one Unicode form; NFKC makes plain ones of ligatures and full-width forms, too."""

    form: Literal["NFC", "NFKC"] = "NFKC"
    where: Where = "all"

    code = "unicode_form"
    safe = False
    description = "write all characters in one Unicode form"

    def __post_init__(self) -> None:
        if self.form not in ("NFC", "NFKC"):
            raise ParameterError(f"form={self.form!r}: give 'NFC' or 'NFKC'.", parameter="form")

    def mend(self, example: Example) -> Example:
        """The example in that form."""
        return with_texts(example, lambda text: unicodedata.normalize(self.form, text), self.where)


@dataclass(frozen=True, slots=True)
class HtmlEntities:
    """Entities such as `&amp;` become the characters that they stand for; tags stay."""

    where: Where = "all"

    code = "html"
    safe = False
    description = "write HTML entities as characters"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Rows with what an entity begins with."""
        return batch.raw.rows(_ENTITY_BYTES) if b"&" in batch.raw else ()

    def mend(self, example: Example) -> Example:
        """The example with the characters."""
        return with_texts(example, lambda text: _ENTITY.sub(lambda found: html.unescape(found[0]), text), self.where)


@dataclass(frozen=True, slots=True)
class Mojibake:
    """Text in UTF-8 that was once read as cp1252, where `é` became `Ã©`, is read as it was meant."""

    where: Where = "all"

    code = "mojibake"
    safe = False
    description = "read the text as it was meant"

    def suspects(self, batch: Batch) -> Iterable[int]:
        """Damaged rows, known since they were read."""
        return batch.flagged(DAMAGED)

    def mend(self, example: Example) -> Example:
        """The example with the characters that were meant."""
        return with_texts(example, mended, self.where)
