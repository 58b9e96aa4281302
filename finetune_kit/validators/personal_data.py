"""Data about people that a model may repeat to anybody."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from finetune_kit.rows import Batch
from finetune_kit.validators.issue import Issue, Severity
from finetune_kit.validators.personal_numbers import is_card, is_iban, is_resident_id
from finetune_kit.validators.texts import texts_of

# --- e-mail ---

_LOCAL_LIMIT, _DOMAIN_LIMIT = 64, 255
_LOCAL = re.compile(r"(?<![A-Za-z0-9._%+\-/])[A-Za-z0-9_+](?:[A-Za-z0-9._%+\-]*[A-Za-z0-9_+\-])?\Z")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+(?:[a-z]{2,24}|[A-Z]{2,24})(?![A-Za-z0-9])")
_MAIL_BYTES = re.compile(rb"@[A-Za-z0-9-]+\.[A-Za-z0-9]")
# Kept for examples by RFC 2606 and RFC 6761.
_EXAMPLE_DOMAIN = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org|edu))?|test|invalid|localhost|local)\Z")
_OFFICES = frozenset(
    (
        *("info", "support", "contact", "help", "helpdesk", "sales", "service", "admin", "hello", "office", "mail"),
        *("noreply", "no-reply", "donotreply", "do-not-reply", "customerservice", "customer.service", "customercare"),
        *("customersupport", "customer-service", "care", "feedback", "billing", "orders", "returns", "press", "media"),
        *("webmaster", "postmaster", "abuse", "privacy", "legal", "security", "jobs", "careers", "hr", "team", "git"),
        *("enquiries", "inquiries", "marketing", "newsletter", "complaints", "claims", "accounts", "reservations"),
    )
)

# --- numbers ---

_DIGITS_LEAST = 8
_BETWEEN = b" .-()+/"
_AS_ZERO = bytes([ord("0") if chr(byte).isdigit() and byte < 0x80 else byte for byte in range(256)])
_MANY_DIGITS = b"0" * _DIGITS_LEAST

_NUMBER = re.compile(r"(?<![0-9A-Za-z_/#-])(?<![0-9][.,])\+?\(?[0-9](?:[ \-.()/]{0,3}[0-9]){7,30}[Xx]?(?![0-9A-Za-z_])")
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{2,4}){2,8}(?:[ -]?[A-Z0-9])?(?![0-9A-Za-z])")
_EIGHT_DIGITS = re.compile(r"[0-9]{8}")
_PART = re.compile(r"[^ /]{8,}")
_NO_DIGIT = re.compile(r"[^0-9]")

_CHINESE_MOBILE = re.compile(r"(?:(?:\+|00)?\(?86\)?[ -]?)?1[3-9][0-9](?:[ -]?[0-9]{4}){2}")
_CHINESE_LANDLINE = re.compile(r"\(?0[1-9][0-9]{1,2}(?:\) ?|[ -])[2-9][0-9]{6,7}")
_INTERNATIONAL = re.compile(r"\+[1-9](?:[ \-.()/]{0,3}[0-9]){7,14}")
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[ .-]|\+1)?"
    r"(?:\([2-9][0-9]{2}\) ?[0-9]{3}[ .-]|[0-9]{3}[.-][0-9]{3}[.-]|[2-9][0-9]{2} [2-9][0-9]{2} )[0-9]{4}"
)
# Free numbers of companies, and those that are kept for fiction.
_NOBODYS = re.compile(r"1?(?:(?:800|888|877|866|855|844|833|822|400)[0-9]{7}|[2-9][0-9]{2}55501[0-9]{2})")

_MAIL, _PHONE = "an e-mail address", "a phone number"
_CARD, _ID, _ACCOUNT = "a payment card number", "a Chinese resident identity number", "a bank account number (IBAN)"

_FOUND_LIMIT = 20
"""In one text; more of them are one finding."""


@dataclass(frozen=True, slots=True)
class PersonalData:
    """A model repeats what it has learnt, to anybody: e-mail addresses, phone, card, identity and account numbers.

    Addresses of offices (`support@…`), domains kept for examples and toll-free numbers do not count.

    Bad:  `{"prompt": "I am Li Lei, 13800138000.", "completion": "We wrote to li.lei@mail.cn."}`
    Good: `{"prompt": "I am Li Lei.", "completion": "We wrote to li.lei@example.com."}`
    """

    code = "personal_data"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One warning for each datum, which its message never quotes."""
        return [
            issue
            for row in _candidates(batch)
            for field, text in texts_of(batch.example(row))
            for issue in self._judge(row, field, text)
        ]

    def _judge(self, row: int, field: str, text: str) -> list[Issue]:
        found = sorted({*mails_in(text), *numbers_in(text)}, key=lambda datum: datum[1])
        if len(found) <= _FOUND_LIMIT:
            return [self._issue(row, field, what, span) for what, span in found]
        kinds = dict.fromkeys(what for what, _ in found)
        return [self._issue(row, field, what, None) for what in kinds]

    def _issue(self, row: int, field: str, what: str, span: tuple[int, int] | None) -> Issue:
        return Issue(
            self.code,
            Severity.WARNING,
            f"the text holds {what}",
            row=row,
            field=field,
            hint='Drop the row, or put words in its place, as `clean(fixes=["redact_personal_data"])` does.',
            span=span,
            sensitive=True,
        )


def mails_in(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The e-mail addresses of people, each as its kind and its place."""
    at = text.find("@")
    while at >= 0:
        begin = max(0, at - _LOCAL_LIMIT)
        local, domain = _LOCAL.search(text[begin:at]), _DOMAIN.match(text, at + 1, at + 1 + _DOMAIN_LIMIT)
        if local and domain and not _is_nobodys(local.group(), domain.group()):
            yield _MAIL, (begin + local.start(), domain.end())
        at = text.find("@", at + 1)


def numbers_in(text: str) -> Iterator[tuple[str, tuple[int, int]]]:
    """The numbers that belong to people, each as its kind and its place."""
    if not _has_many_digits(text.encode(errors="replace")):
        return
    taken: list[tuple[int, int]] = []
    for found in _IBAN.finditer(text):
        number = found.group().replace(" ", "").replace("-", "")
        if _EIGHT_DIGITS.search(number) and is_iban(number):
            taken.append(found.span())
            yield _ACCOUNT, found.span()
    for found in _NUMBER.finditer(text):
        if not any(start < found.end() and found.start() < stop for start, stop in taken):
            yield from _known_in(found.group(), found.start())


def _known_in(number: str, start: int) -> Iterator[tuple[str, tuple[int, int]]]:
    if number[0] == "(" and ")" not in number:  # around the number, not a part of it
        number, start = number[1:], start + 1
    if what := _kind_of(number):
        yield what, (start, start + len(number))
        return
    for part in _PART.finditer(number):  # perhaps several, one behind the other
        if len(part.group()) < len(number) and (what := _kind_of(part.group())):
            yield what, (start + part.start(), start + part.end())


def _kind_of(number: str) -> str | None:
    digits = _NO_DIGIT.sub("", number)
    if number[-1] in "Xx":
        return _ID if is_resident_id(number) else None
    if is_resident_id(number):
        return _ID
    if _is_grouped_alike(number) and is_card(digits):
        return _CARD
    return _PHONE if _is_phone(number, digits) else None


def _is_phone(number: str, digits: str) -> bool:
    if _NOBODYS.fullmatch(digits):
        return False
    forms = (_CHINESE_MOBILE, _CHINESE_LANDLINE, _INTERNATIONAL, _NORTH_AMERICAN)
    return any(form.fullmatch(number) for form in forms)


def _is_grouped_alike(number: str) -> bool:
    """Whether blanks, or hyphens, are all that parts the digits, as on a card."""
    return not set(number) - set("0123456789 ") or not set(number) - set("0123456789-")


def _is_nobodys(local: str, domain: str) -> bool:
    return local.lower() in _OFFICES or _EXAMPLE_DOMAIN.search(domain.lower()) is not None


def _candidates(batch: Batch) -> list[int]:
    found: list[int] = batch.raw.rows(_MAIL_BYTES) if b"@" in batch.raw else []
    digits = batch.marks.translated(_AS_ZERO, _BETWEEN)
    if _MANY_DIGITS in digits:  # though letters may stand between them
        found += [
            row
            for row, line in enumerate(digits.lines(), batch.start)
            if _MANY_DIGITS in line and _has_many_digits(batch.raw.row(row))
        ]
    return sorted(set(found)) if found else found


def _has_many_digits(text: bytes) -> bool:
    """Whether so many stand in a row as the shortest of all numbers has, whatever is written between them."""
    return _MANY_DIGITS in text.translate(_AS_ZERO, _BETWEEN)
