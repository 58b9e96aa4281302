"""Keys and passwords."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.texts import texts_of

_KEYS = (
    ("an OpenAI API key", r"sk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{16,200}"),
    ("an Anthropic API key", r"sk-ant-[A-Za-z0-9_-]{20,200}"),
    ("an AWS access key", r"(?:AKIA|ASIA)[A-Z2-7]{16}"),
    ("a GitHub token", r"gh[opsur]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255}"),
    ("a GitLab token", r"glpat-[A-Za-z0-9_-]{20,64}"),
    ("a Slack token", r"xox[abeprs]-[A-Za-z0-9-]{20,255}"),
    ("a Google API key", r"AIza[A-Za-z0-9_-]{35}"),
    ("a Hugging Face token", r"hf_[A-Za-z0-9]{30,64}"),
    ("a Stripe key", r"[rs]k_live_[A-Za-z0-9]{16,255}"),
    ("a SendGrid key", r"SG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}"),
    ("an npm token", r"npm_[A-Za-z0-9]{36}"),
    ("a PyPI token", r"pypi-AgE[A-Za-z0-9_-]{50,255}"),
    ("a Telegram bot token", r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("an Alibaba Cloud access key", r"LTAI[A-Za-z0-9]{12,20}"),
    ("a Tencent Cloud access key", r"AKID[A-Za-z0-9]{13,36}"),
    ("a JSON Web Token", r"eyJ[A-Za-z0-9_-]{13,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"),
)
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----[\s\\n]*[A-Za-z0-9+/]{16}")
_PRIVATE, _PRIVATE_MARKS = "PRIVATE KEY", b"PRIVATEKEY"
_END_OF_KEY = "-----END"
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:" + "|".join(f"({pattern})" for _, pattern in reversed(_KEYS)) + r")(?![A-Za-z0-9])"
)
_NAMES = tuple(name for name, _ in reversed(_KEYS))

# By such runs of capitals and digits, whatever small letters stand between them, keys are told from words.
_MIXED_LEAST = 8
_OTHER = re.compile(r"[^A-Z0-9.:]")
_BLANK = re.compile(r"xxxx|\.\.\.|\*\*|your|placeholder|redacted|(.)\1{7}", re.IGNORECASE)
"""In what stands where a key is to be put."""
_SAMPLE = re.compile(r"example|dummy|fake|sample|1234567|abcdefg|(.)\1{5}", re.IGNORECASE)
"""In keys that were made up, most likely."""

_SURE = {True: Severity.ERROR, False: Severity.WARNING}

_VALUE = r"[\"'`]?[ \t]{0,3}(?:[=:：]|is|是|为)[ \t]{0,3}[\"'`]?([^\s\"'`<>,;，。；、]{8,128})"
_PASSWORD_WORDS = ("assword", "ASSWORD", "密码")
_PASSWORD = re.compile(rf"(?:{'|'.join(_PASSWORD_WORDS)})(?i:{_VALUE})")
_KEY_WORDS = ("secret", "key", "token", "passwd", "pwd")
_KEY = re.compile(rf"(?:{'|'.join(_KEY_WORDS)}){_VALUE}", re.IGNORECASE)
_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+]{1,20}://[^\s/:@\"'<>]{1,64}:([^\s/:@\"'<>]{6,128})@")
_LEAST_BITS = 2.8
"""Of entropy in each character of a password; words and repeated signs have less."""

_CAPITALS_AND_DIGITS = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_AS_ZERO = bytes([ord("0") if byte in _CAPITALS_AND_DIGITS else byte for byte in range(256)])
_JOINING = b"-_"
_MIXED = b"0" * _MIXED_LEAST
# And keys are longer than most words.
_LONG_LEAST = 16
_LONG = re.compile(rf"[A-Za-z0-9_-]{{{_LONG_LEAST}}}")
_WORD = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-"
_AS_LETTER = bytes([byte if byte == ord("\n") else b" a"[byte in _WORD] for byte in range(256)])
_LONG_BYTES = b"a" * _LONG_LEAST
_LONG_PATTERN = re.compile(_LONG_BYTES)
_PASSWORD_BYTES = (b"assword", "密码".encode())
_PASSWORD_CAPITALS = b"ASSWORD"
# A character takes up to four bytes, and some are escaped.
_ADDRESS_BYTES = re.compile(rb"://[^/ :@\"]{1,256}:[^/ :@\"]{6,512}@")


@dataclass(frozen=True, slots=True)
class Secrets:
    """A key that a model has learnt is a key that it gives away.

    Bad:  `{"prompt": "Set up the client.", "completion": "client = OpenAI(api_key=\\"sk-proj-Zq8…\\")"}`, a real key
    Good: `{"prompt": "Set up the client.", "completion": "client = OpenAI(api_key=\\"YOUR_API_KEY\\")"}`
    """

    code = "secret"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """An error for each text with a key of known form, a warning for what looks like a password; never quoted."""
        return [
            self._issue(row, field, what, severity, span)
            for row in _candidates(batch)
            for field, text in texts_of(batch.example(row))
            for what, severity, span in secrets_in(text)
        ]

    def _issue(self, row: int, field: str, what: str, severity: Severity, span: tuple[int, int]) -> Issue:
        return Issue(
            self.code,
            severity,
            f"the text holds what looks like {what}",
            row=row,
            field=field,
            hint='Revoke it where it was issued; `clean(fixes=["redact_secrets"])` puts words in its place.',
            span=span,
            sensitive=True,
        )


def secrets_in(text: str) -> Iterator[tuple[str, Severity, tuple[int, int]]]:
    """Each secret as its kind, how sure that is, and its place."""
    if _PRIVATE in text and (found := _PRIVATE_KEY.search(text)):
        end = text.find(_END_OF_KEY, found.end())
        yield "a private key", Severity.ERROR, (found.start(), len(text) if end < 0 else end)
    taken: list[tuple[int, int]] = []
    long = _LONG.search(text) is not None
    for found in _TOKEN.finditer(text) if long else ():
        if _is_key(found.group()) and not _BLANK.search(found.group()):
            taken.append(found.span())
            name, sample = _NAMES[(found.lastindex or 1) - 1], _SAMPLE.search(found.group())
            yield f"{name}, perhaps made up" if sample else name, _SURE[sample is None], found.span()
    for what, found in _assigned(text, long=long):
        start, end = found.span(1)
        if not any(first < end and start < last for first, last in taken) and _is_random(found.group(1)):
            yield what, Severity.WARNING, (start, end)


def _assigned(text: str, *, long: bool) -> Iterator[tuple[str, re.Match[str]]]:
    # The look for a word costs a tenth of that for what is assigned to it.
    if any(word in text for word in _PASSWORD_WORDS):
        yield from (("a password", found) for found in _PASSWORD.finditer(text))
    if long and any(word in text.lower() for word in _KEY_WORDS):
        yield from (("a key", found) for found in _KEY.finditer(text) if _is_key(found.group(1)))
    if "://" in text:
        yield from (("a password", found) for found in _IN_ADDRESS.finditer(text))


def _is_key(word: str) -> bool:
    return _LONG.search(word) is not None and _is_mixed(word)


def _is_mixed(word: str) -> bool:
    return max(map(len, re.split("[.:]", _OTHER.sub("", word)))) >= _MIXED_LEAST


def _is_random(word: str) -> bool:
    if _BLANK.search(word) or "example" in word.lower() or not word.isascii() or word[0] in "$%{[(" or "(" in word:
        return False
    kinds = (any(map(str.islower, word)), any(map(str.isupper, word)), any(map(str.isdigit, word)), not word.isalnum())
    counts = Counter(word).values()
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
    return kinds[2] and sum(kinds) >= 2 and bits >= _LEAST_BITS


def _candidates(batch: Batch) -> list[int]:
    raw = batch.raw
    found: list[int] = []
    mixed = batch.marks.translated(_AS_ZERO, _JOINING)
    if _MIXED in mixed:
        words = raw.translated(_AS_LETTER)
        if _LONG_BYTES in words:
            found = [row for row in words.rows(_LONG_PATTERN) if _MIXED in mixed.row(row)]
    if _PRIVATE_MARKS in batch.marks:
        found += batch.marks.rows_with(_PRIVATE_MARKS)
    found += raw.rows_with(*_PASSWORD_BYTES)
    if _PASSWORD_CAPITALS in batch.marks:
        found += raw.rows_with(_PASSWORD_CAPITALS)
    if b"@" in raw:
        found += raw.rows(_ADDRESS_BYTES)
    return sorted(set(found)) if found else found
