"""Rows that must stay together when a data set is split, queued so that any prefix of the queue is a fair share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate, chain, compress, pairwise

from finetune_kit.labels import most_labels
from finetune_kit.near import Ties
from finetune_kit.records import CompletionExample, Example, PreferenceExample
from finetune_kit.repeats import ranked, repeated_rows
from finetune_kit.rows import Batch, Rows

COMPLETION = "completion"
NO_LABEL = "none"

_FIRST_OF_LABEL = -1.0

TOLERANCE = 0.01
"""A side may miss its share by so much of all rows for the sake of a cut that stays where it is when rows are added."""
_MANY_ROWS = 1_000  # under these, people count rows
_KEYS_END = 1 << 64
_NOT = bytes([1, 0, *range(2, 256)])
_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Units(ABC):
    """The queue, as arrays: a few bytes a row, and no object for each unit."""

    ends: array[int]
    """Where in the queue each unit ends: the number of rows up to and with it."""

    def __len__(self) -> int:
        return len(self.ends)

    @abstractmethod
    def rows(self, first: int, last: int) -> array[int]:
        """The rows of the units from `first` up to `last`, sorted."""

    def cut(self, rows: float, *, first: int, last: int) -> int:
        """How many units, from `first` to `last`, come closest to so many rows."""
        over = bisect_left(self.ends, rows) + 1
        best = min((over, over - 1), key=lambda units: abs(self._start(min(units, len(self))) - rows))
        return max(first, min(best, last))

    def _start(self, unit: int) -> int:
        return self.ends[unit - 1] if unit else 0


@dataclass(frozen=True, slots=True)
class KeyedUnits(Units):
    """Units in the order of their keys: which rows come before which needs no sorting of rows."""

    keys: array[int]
    """The key of each row."""
    ranked: array[int]
    """The same, sorted."""

    def rows(self, first: int, last: int) -> array[int]:
        """The rows of the units from `first` up to `last`, sorted."""
        start, stop = self._start(first), self._start(last)
        if start == stop:
            return array("Q")
        low = self.ranked[start]
        if stop == len(self.ranked):
            return array("Q", (row for row, key in enumerate(self.keys) if low <= key))
        high = self.ranked[stop]
        return array("Q", (row for row, key in enumerate(self.keys) if low <= key < high))


@dataclass(frozen=True, slots=True)
class OrderedUnits(Units):
    """Units in an order of their own."""

    order: array[int]
    """The rows, unit after unit."""

    def rows(self, first: int, last: int) -> array[int]:
        """The rows of the units from `first` up to `last`, sorted."""
        return array("Q", sorted(self.order[self._start(first) : self._start(last)]))


@dataclass(frozen=True, slots=True)
class LabelledUnits(OrderedUnits):
    """Units in an order that spreads each label evenly."""

    labels: array[int]
    """The label of each unit as a hash."""

    def lonely(self, sides: int) -> list[int]:
        """For each label with fewer units than there are sides, a row of it."""
        counts = Counter(self.labels)
        first = {label: unit for unit, label in reversed(list(enumerate(self.labels))) if counts[label] < sides}
        return [self.order[self._start(unit)] for unit in sorted(first.values())]


@dataclass(frozen=True, slots=True)
class SomeUnits(Units):
    """Units of some of the rows."""

    units: Units
    numbers: array[int]
    """Which rows these are, rising."""

    def rows(self, first: int, last: int) -> array[int]:
        """The rows of the units from `first` up to `last`, sorted."""
        return array("Q", map(self.numbers.__getitem__, self.units.rows(first, last)))


def at_fixed_cuts(keys: array[int], cuts: Sequence[float]) -> list[array[int]] | None:
    """The rows of each side, cut at these shares of the range of all keys; None where that misses the shares by far.

    Keys are as good as random: those below four fifths of their range are about four fifths of the rows, and stay below
    whatever rows come later. That is near enough where there are many rows.
    """
    total = len(keys)
    if total <= _MANY_ROWS:
        return None
    narrow = "I" if total < 1 << 32 else "Q"
    numbers: Sequence[int] = range(total)
    left, below = keys, 0
    sides: list[array[int]] = []
    for share in cuts:
        under = bytes(map(int(share * _KEYS_END).__gt__, left))
        over = under.translate(_NOT)
        sides.append(array(narrow, compress(numbers, under)))
        below += len(sides[-1])
        if not sides[-1] or abs(below - share * total) > TOLERANCE * total:
            return None
        numbers = array(narrow, compress(numbers, over))
        left = array("Q", compress(left, over)) if len(sides) < len(cuts) else left
    return [*sides, array(narrow, numbers)] if numbers else None


def queue(keys: array[int], labels: array[int]) -> Units:
    """Units in the order of their keys, which is chance; with labels, interleaved so that each is spread evenly.

    The first unit of every label comes before all else: a label that cannot be on every side is trained on.
    """
    rising = ranked(keys)
    ends = array("Q", (end for end, (key, following) in enumerate(pairwise(rising), 1) if key != following))
    if rising:
        ends.append(len(rising))
    if not labels:
        return KeyedUnits(ends, keys, rising)
    order = sorted(range(len(keys)), key=keys.__getitem__)
    spans = list(zip(chain((0,), ends), ends, strict=False))
    of_unit = array("Q", (_commonest(labels[row] for row in order[start:end]) for start, end in spans))
    places = _places(of_unit, [end - start for start, end in spans])
    queued = sorted(range(len(spans)), key=places.__getitem__)
    return LabelledUnits(
        ends=array("Q", accumulate(spans[unit][1] - spans[unit][0] for unit in queued)),
        order=array("Q", chain.from_iterable(order[slice(*spans[unit])] for unit in queued)),
        labels=array("Q", (of_unit[unit] for unit in queued)),
    )


def by_time(keys: array[int], times: array[float]) -> Units:
    """Units from the oldest to the newest; a unit is as new as its newest row."""
    newest: dict[int, float] = {}
    for key, time in zip(keys, times, strict=True):
        newest[key] = max(time, newest.get(key, time))
    order = array("Q", sorted(range(len(keys)), key=lambda row: (newest[keys[row]], keys[row])))
    ends = array("Q", (end for end, (row, other) in enumerate(pairwise(order), 1) if keys[row] != keys[other]))
    if order:
        ends.append(len(order))
    return OrderedUnits(ends, order)


def _commonest(labels: Iterable[int]) -> int:
    # Between equals the smaller hash wins: a choice by the order of the rows would not repeat.
    return min(Counter(labels).items(), key=lambda item: (-item[1], item[0]))[0]


def _places(labels: array[int], sizes: Sequence[int]) -> array[float]:
    """Where each unit stands among those of its label, from 0 to 1."""
    totals: Counter[int] = Counter()
    for label, size in zip(labels, sizes, strict=True):
        totals[label] += size
    before: Counter[int] = Counter()
    places = array("d")
    for label, size in zip(labels, sizes, strict=True):
        places.append((before[label] + size / 2) / totals[label] if before[label] else _FIRST_OF_LABEL)
        before[label] += size
    return places


class UnitKeys:
    """Gives each row the key of its unit: equal for rows that stay together, else as good as random."""

    def __init__(self, rows: Rows, *, seed: int) -> None:
        self._rows = rows
        # blake2b takes keys of at most 64 bytes, a seed may be any integer.
        self._salt = blake2b(str(seed).encode(), digest_size=32).digest()

    def by_prompt(self) -> array[int]:
        """A key for each row, equal for rows that ask the same."""
        # The rows' own keys are hashes already; a multiplication by an odd number brings them into another order.
        factor = int.from_bytes(self._salt[:8]) | 1
        offset = int.from_bytes(self._salt[8:16])
        return array("Q", ((key ^ offset) * factor & _MASK for key in self._rows.row_keys()))

    def by_group(self, values: Iterable[str | None]) -> array[int]:
        """A key for each row, equal for rows of equal value; groups that share an equal row become one."""
        own = self.by_prompt()
        keys = array(
            "Q",
            [
                key if value is None else _hash(value.encode("utf-8", "surrogatepass"), self._salt)
                for key, value in zip(own, values, strict=True)
            ],
        )
        ties = Ties()
        for row, earlier in repeated_rows(self._rows):
            if keys[row] != keys[earlier]:
                ties.join(keys[row], keys[earlier])
        return tied(keys, ties)


def tied(keys: array[int], ties: Ties) -> array[int]:
    """The keys, each replaced by the least that it is tied to."""
    return array("Q", map(ties.root, keys)) if ties else keys


class Labels:
    """Gives each row the hash of its label, as far as labels are wanted."""

    def __init__(self, *, by: str | None, rows: int) -> None:
        self.without = 0
        self._by = COMPLETION if by is None else by
        self._most = most_labels(rows) if by is None else rows
        self.wanted = by != NO_LABEL
        """Whether more rows need to be seen; free text is given up early."""
        self._hashes = array("Q")
        self._distinct: set[int] = set()

    def see(self, batch: Batch) -> None:
        """Take up the next rows."""
        if not self.wanted:
            return
        texts = [label_text(example, self._by) for example in batch.examples]
        self.without += texts.count(None)
        hashes = [_hash((text or "").encode("utf-8", "surrogatepass"), b"") for text in texts]
        self._hashes.extend(hashes)
        self._distinct.update(hashes)
        self.wanted = len(self._distinct) <= self._most

    def finish(self) -> array[int]:
        """A hash for each row, or nothing where there is nothing to balance."""
        return self._hashes if self.wanted and len(self._distinct) > 1 else array("Q")

    def __len__(self) -> int:
        return len(self._distinct)


def label_text(example: Example, by: str) -> str | None:
    """The label of an example: its completion, the last message of a chat, or a value of its metadata."""
    if by != COMPLETION:
        return metadata_text(example, by)
    if isinstance(example, CompletionExample):
        return example.completion.strip()
    if isinstance(example, PreferenceExample) or not example.messages:
        return ""
    content = example.messages[-1].content
    return content.strip() if isinstance(content, str) else json.dumps(content, sort_keys=True)


def metadata_text(example: Example, key: str) -> str | None:
    """A value of the metadata as text; None where there is none."""
    value = example.metadata.get(key)
    if value is None or value == "":
        return None
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def metadata_keys(rows: Rows) -> set[str]:
    """All keys of the metadata."""
    return {key for example in rows for key in example.metadata}


def _hash(content: bytes, salt: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8, key=salt).digest())
