"""Arguments that users pass, checked by hand so that a wrong one is a `ParameterError` that says what to pass."""

from __future__ import annotations

import math
import operator
import sys
from contextlib import suppress
from typing import SupportsFloat, SupportsIndex

from finetune_kit._quoting import shown
from finetune_kit.errors import ParameterError

MAX_SEED = 2**32 - 1


def whole_number(name: str, value: object, low: int, high: int | None = None) -> int:
    """`value` as an int from `low` to `high`; NumPy's are fine, True and 4.0 are not."""
    whole = None
    if isinstance(value, SupportsIndex) and not isinstance(value, bool):
        with suppress(TypeError):  # arrays
            whole = operator.index(value)
    if whole is not None and low <= whole and (high is None or whole <= high):
        return whole
    allowed = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise ParameterError(f"{name}={shown(value)}: give a whole number {allowed}.", parameter=name)


def number(name: str, value: object, low: float, high: float, *, meaning: str = "") -> float:
    """`value` as a float from `low` to `high`; NaN is in no range."""
    real = math.nan
    if isinstance(value, SupportsFloat) and not isinstance(value, bool):
        with suppress(TypeError, OverflowError):  # arrays, and whole numbers beyond all floats
            real = float(value)
    if low <= real <= high:
        return real
    allowed = f"of at least {low:g}" if high == sys.float_info.max else f"from {low:g} to {high:g}"
    raise ParameterError(f"{name}={shown(value)}: give a number {allowed}{meaning}.", parameter=name)


def string(name: str, value: object) -> str:
    """`value`, if it is a string."""
    if not isinstance(value, str):
        raise ParameterError(f"{name} is {type(value).__name__}, not text. Pass a string.", parameter=name)
    return value


def checked_seed(value: object) -> int | None:
    """A seed that every random generator takes, or None."""
    return None if value is None else whole_number("seed", value, 0, MAX_SEED)
