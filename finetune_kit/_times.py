"""Dates and times as people write them, as numbers that can be put in order."""

from __future__ import annotations

import math
import re
from array import array
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

_pattern = partial(re.compile, flags=re.IGNORECASE)
_CLOCK = (
    r"(?:[T ,]+(?P<hour>\d{1,2})[:时點点](?P<minute>\d{1,2})(?:[:分](?P<second>\d{1,2})(?P<part>[.,]\d+)?)?秒?"
    r"(?: ?(?P<half>[ap])\.?m\.?)?)?(?: ?(?P<zone>z|utc|gmt|[+-]\d\d(?::?\d\d)?))?"
)
_YEAR_FIRST = _pattern(r"(?P<year>\d{4})[-/.年] ?(?P<month>\d{1,2})(?:[-/.月] ?(?P<day>\d{1,2})日?|月)?" + _CLOCK)
_YEAR_LAST = _pattern(r"(?P<first>\d{1,2})(?P<between>[-/.])(?P<second_>\d{1,2})[-/.](?P<year>\d{4})" + _CLOCK)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? )?"
_MONTH = r"(?P<name>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_NAMED = (
    _pattern(_WEEKDAY + r"(?P<day>\d{1,2})(?:st|nd|rd|th)?[ -]" + _MONTH + r",?[ -](?P<year>\d{4})" + _CLOCK),
    _pattern(_WEEKDAY + _MONTH + r" (?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})" + _CLOCK),
)
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

# Epoch numbers come in seconds, or in thousandths, millionths or billionths of them, told apart by their size: the
# smallest step up is the year 5138 in seconds and 1973 in thousandths.
_STEP, _STEPS = 1e11, 3
_FIRST_YEAR, _LAST_YEAR = 1900, 2100


class UnreadableTimeError(ValueError):
    """A value that is no time, or one that could be two."""

    def __init__(self, number: int, value: object, reason: str) -> None:
        super().__init__(reason)
        self.number, self.value, self.reason = number, value, reason


class _Either(NamedTuple):
    """Such as 03/04/2024: which of the two numbers is the month, other dates of the column must tell."""

    number: int
    text: str
    day_first: float
    month_first: float


class Times:
    """Takes a column of dates value by value: ISO 8601, epoch numbers, and other forms that cannot be mistaken.

    A time without a zone counts as UTC.
    """

    def __init__(self) -> None:
        self._seconds = array("d")
        self._either: list[_Either] = []
        self._day_first = self._month_first = False

    def add(self, value: object) -> None:
        """Take the next value; `UnreadableTimeError` where it is no time."""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise UnreadableTimeError(len(self._seconds), value, "is no date")
        found = self._of_text(value.strip()) if isinstance(value, str) else _of_number(value)
        if found is None:
            raise UnreadableTimeError(len(self._seconds), value, "is no date that can be read")
        self._seconds.append(found)

    def finish(self) -> array[float]:
        """Seconds since 1970 for each; `UnreadableTimeError` where day and month cannot be told apart."""
        if self._either and self._day_first == self._month_first:
            number, text, *_ = self._either[0]
            raise UnreadableTimeError(number, text, "may begin with the day or with the month")
        for number, _, day_first, month_first in self._either:
            self._seconds[number] = day_first if self._day_first else month_first
        return self._seconds

    def _of_text(self, text: str) -> float | None:
        if _NUMBER.fullmatch(text):
            return _of_number(float(text))
        try:
            return _seconds(datetime.fromisoformat(text))
        except ValueError:
            pass
        for pattern in (_YEAR_FIRST, *_NAMED):
            if found := pattern.fullmatch(text):
                parts = found.groupdict()
                month = _MONTHS.index(parts["name"].lower()) + 1 if "name" in parts else int(parts["month"])
                return _date(parts, month, int(parts["day"] or 1))
        found = _YEAR_LAST.fullmatch(text)
        return None if found is None else self._year_last(text, found)

    def _year_last(self, text: str, found: re.Match[str]) -> float | None:
        parts = found.groupdict()
        one, other = int(parts["first"]), int(parts["second_"])
        day_first, month_first = _date(parts, other, one), _date(parts, one, other)
        if parts["between"] == "." or one == other:  # with dots the day is first wherever dates are written so
            return day_first
        if day_first is not None and month_first is not None:
            self._either.append(_Either(len(self._seconds), text, day_first, month_first))
        elif day_first is not None:
            self._day_first = True
        elif month_first is not None:
            self._month_first = True
        return month_first if day_first is None else day_first


def _of_number(number: float) -> float | None:
    try:
        if not math.isfinite(number):
            return None
    except OverflowError:  # a whole number beyond all floats
        return None
    if number == int(number) and (date := _packed_date(int(number))) is not None:
        return date
    for _ in range(_STEPS):
        if abs(number) >= _STEP:
            number /= 1000
    return number


def _packed_date(number: int) -> float | None:
    """A year such as 2024, or a date such as 20240305."""
    if _FIRST_YEAR <= number <= _LAST_YEAR:
        return _seconds(datetime(number, 1, 1, tzinfo=UTC))
    if not _FIRST_YEAR * 10_000 <= number <= (_LAST_YEAR + 1) * 10_000:
        return None
    try:
        return _seconds(datetime(number // 10_000, number // 100 % 100, number % 100, tzinfo=UTC))
    except ValueError:
        return None


def _date(parts: dict[str, str], month: int, day: int) -> float | None:
    hour = int(parts["hour"] or 0)
    if parts["half"]:
        hour = hour % 12 + (12 if parts["half"].lower() == "p" else 0)
    try:
        clock = (hour, int(parts["minute"] or 0), int(parts["second"] or 0))
        found = datetime(int(parts["year"]), month, day, *clock, tzinfo=UTC)
    except ValueError:
        return None
    part = float("0" + parts["part"].replace(",", ".")) if parts["part"] else 0.0
    return _seconds(found) + part - _offset(parts["zone"] or "")


def _offset(zone: str) -> float:
    if zone[:1] not in {"+", "-"}:
        return 0.0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])).total_seconds()
    return -offset if zone[0] == "-" else offset


def _seconds(time: datetime) -> float:
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).timestamp()


def shown(seconds: float) -> str:
    """The day, and the time of day where it is not midnight, in UTC."""
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):  # far beyond the calendar
        return f"{seconds:g}"
    day = seconds % 86_400 == 0
    return time.date().isoformat() if day else time.replace(tzinfo=None).isoformat(" ", "seconds")
