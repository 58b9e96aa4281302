"""Numbers that tell by themselves what they are: by their first digits, their length and their check digits."""

from __future__ import annotations

import re
from datetime import date

# ISO 3166 codes and the lengths of their account numbers, from the registry of IBAN formats, release 99.
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in {
        "15": "NO",
        "16": "BE",
        "18": "DK FI FK FO GL NL SD",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU MN XK",
        "21": "CH CR HR LI LV",
        "22": "BG BH DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST",
        "26": "IS TR",
        "27": "BI DJ FR GR IT MC MR SM",
        "28": "AL AZ BY CY DO GT HN HU LB NI PL SV",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU YE",
        "31": "MT SC",
        "32": "LC",
        "33": "RU",
    }.items()
    for country in countries.split()
}

# Issuers and the lengths of their numbers: Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay and
# Mir.
_CARD = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|"
    r"3(?:0[0-5]|[689]\d)\d{11}|6(?:011|4[4-9]\d|5\d\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|(?:62|81)\d{14,17}|220[0-4]\d{12}"
)
_PROVINCES = frozenset(
    str(number)
    for numbers in ((11, 16), (21, 24), (31, 38), (41, 47), (50, 55), (61, 66), (71, 72), (81, 84))
    for number in range(*numbers)
)
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


def is_card(digits: str) -> bool:
    """Whether it is the number of a payment card: known issuer and length, right check digit (Luhn)."""
    return _CARD.fullmatch(digits) is not None and len(set(digits)) > 1 and _luhn(digits)


def is_resident_id(text: str) -> bool:
    """Whether it is a Chinese resident identity number: province, date of birth, check digit (GB 11643)."""
    if len(text) != 18 or not (text[:17].isascii() and text[:17].isdigit()):
        return False
    if text[:2] not in _PROVINCES:
        return False
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text, _ID_WEIGHTS, strict=False))
    return _FIRST_YEAR <= born.year < _LAST_YEAR and _ID_CHECKS[total % 11] == text[17].upper()


def is_iban(text: str) -> bool:
    """Whether it is an IBAN without spaces: known country, its length, right check digits (ISO 7064)."""
    if _IBAN_LENGTHS.get(text[:2]) != len(text) or not text.isascii() or not text.isalnum():
        return False
    return int("".join(str(int(char, 36)) for char in text[4:] + text[:4])) % 97 == 1


def _luhn(digits: str) -> bool:
    doubled = (2 * int(digit) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(digit - 9 if digit > 9 else digit for digit in doubled)) % 10 == 0
