"""How far shares of a sample may be from the truth, with 95 % confidence."""

from __future__ import annotations

import math

_Z = 1.959964  # two-sided 95 %


def share_interval(count: int, rows: int) -> tuple[float, float]:
    """Where the share lies on many more such examples (Wilson's score interval); anywhere without any example."""
    if not rows:
        return 0.0, 1.0
    p, z = count / rows, _Z
    middle = (p + z * z / (2 * rows)) / (1 + z * z / rows)
    reach = z * math.sqrt(p * (1 - p) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def difference_interval(only_first: int, only_second: int, rows: int) -> tuple[float, float]:
    """Where the second's share less the first's lies, both measured on the same examples: rather too far than too near.

    Given are how many only one of them got right; the interval is as wide as those of both shares allow together. So
    two that never differ are within 5 % of each other from 73 examples on, and not on a handful.
    """
    (first_low, first_high), (second_low, second_high) = (
        share_interval(only_first, rows),
        share_interval(only_second, rows),
    )
    return max(-1.0, second_low - first_high), min(1.0, second_high - first_low)
