"""How long a host asks to be left alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from finetune_kit._clock import clock


def retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    """From `retry-after-ms`, or `Retry-After` in seconds or as a date; None where the host says nothing sensible.

    A date is taken against the host's own `Date`, so that a wrong clock on either side does no harm.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    told = headers.get("retry-after")
    seconds = _number(told)
    if seconds is not None or told is None:
        return seconds
    until = _date(told)
    if until is None:
        return None
    now = _date(headers.get("date"))
    return max(0.0, until - (clock().now() if now is None else now))


def _number(text: str | None) -> float | None:
    try:
        found = float(text or "")
    except ValueError:
        return None
    return found if math.isfinite(found) and found >= 0 else None


def _date(text: str | None) -> float | None:
    try:
        found = parsedate_to_datetime(text or "")
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
