"""Which keys occur more than once, at a few bytes a key."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import compress
from weakref import WeakKeyDictionary

from finetune_kit._canonical import DIGEST_BYTES
from finetune_kit.rows import Rows

# A plain set of 1.8 million keys takes 163 MB; sorted runs of this many keep it near 20 MB whatever the number of keys.
_RUN = 1 << 18
_KEYS_END = 1 << 64
_HALF = DIGEST_BYTES // 2
_FEW = 1 << 19  # as a set, 40 MB for a moment

_TOGETHER = 64

# What is checked for repeats is freed of them next.
_same_keys: WeakKeyDictionary[Rows, array[int]] = WeakKeyDictionary()
_repeated_rows: WeakKeyDictionary[Rows, tuple[array[int], array[int]]] = WeakKeyDictionary()


def repeated(keys: array[int]) -> set[int]:
    """The keys, 64-bit hashes in an `array("Q")`, that occur at least twice."""
    if len(keys) <= _FEW and len(set(keys)) == len(keys):
        return set()
    found: set[int] = set()
    for part in _in_order(keys):
        if len(set(part)) < len(part):
            found.update(key for key, times in Counter(part).items() if times > 1)
    return found


def ranked(keys: array[int]) -> array[int]:
    """The keys in rising order; a plain sort would hold an object for each."""
    if len(keys) <= _FEW:
        return array("Q", sorted(keys))
    result = array("Q")
    for part in _in_order(keys):
        result.extend(array("Q", sorted(part)))
    return result


def _in_order(keys: array[int]) -> Iterator[array[int]]:
    """The keys in parts of about the same size, each above the one before; unsorted within."""
    runs = [array("Q", sorted(keys[start : start + _RUN])) for start in range(0, len(keys), _RUN)]
    for part in range(len(runs)):
        low, high = (_KEYS_END * edge // len(runs) for edge in (part, part + 1))
        within = array("Q")
        for run in runs:
            within.extend(run[bisect_left(run, low) : bisect_left(run, high)])
        yield within


def same_keys(rows: Rows) -> Sequence[int]:
    """The rows, in order, whose key another row has too."""
    known = _same_keys.get(rows)
    if known is None:
        keys = rows.row_keys()
        candidates = repeated(keys)
        known = array("Q", (row for row, key in enumerate(keys) if key in candidates) if candidates else ())
        _same_keys[rows] = known
    return known


def repeated_rows(rows: Rows) -> Iterator[tuple[int, int]]:
    """Each row whose content an earlier one has, with the first that has it."""
    known = _repeated_rows.get(rows)
    if known is None:
        known = array("Q"), array("Q")
        for row, earlier in _find_repeated(rows):
            known[0].append(row)
            known[1].append(earlier)
        _repeated_rows[rows] = known
    return zip(*known, strict=True)


def _find_repeated(rows: Rows) -> Iterator[tuple[int, int]]:
    candidates = same_keys(rows)
    # Half of each digest first, in an array: where only prompts repeat, no dict has to hold all that ask the same.
    halves = array("Q")
    for start in range(0, len(candidates), _TOGETHER):
        digests = rows.digests(candidates[start : start + _TOGETHER])
        halves.frombytes(b"".join([digest[:_HALF] for digest in digests]))
    again = repeated(halves)
    first: dict[bytes, int] = {}
    for row in compress(candidates, map(again.__contains__, halves)) if again else ():
        earlier = first.setdefault(rows.digest(row), row)
        if earlier != row:
            yield row, earlier
