"""Texts that are nearly the same: found by sketches in one pass, each confirmed by the true similarity.

Two texts are as similar as the share of their neighbouring word pairs that both have (Jaccard), from 0 to 1. Where a
script sets no spaces between words, as Chinese does, a character counts as a word. Letter case, white space and
punctuation do not count, nor do word pairs that stand in more than a quarter of all rows: these are the form that the
rows share, such as an instruction, not what one of them says. Of a text with more than 16,384 word pairs, a fixed
sample of so many is compared.

The search is a locality-sensitive hash: of 32 parts of the hash range each keeps its least word pair, and rows that
agree in three parts are compared. It finds 99 of 100 pairs at the threshold, nearly all above, in linear time; what it
finds depends neither on the process nor on the order of the rows.
"""

from __future__ import annotations

import operator
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from itertools import chain, repeat
from typing import Any, Literal, NamedTuple, TypeAlias

from finetune_kit._asked import asked_and_answered
from finetune_kit._quoting import shown
from finetune_kit.errors import ParameterError
from finetune_kit.records import Example
from finetune_kit.repeats import repeated
from finetune_kit.rows import NOTHING_ASKED, Batch, Rows

By: TypeAlias = Literal["content", "prompt"]

THRESHOLD = 0.7
"""From here on texts are near: one word in thirteen may differ."""

NEAR_ROWS = 20_000
"""So many rows are searched without being asked for; more take their time, some 50 microseconds a row."""
NEAR_BYTES = 16 << 20
"""So many bytes of them at most."""

_LEAST_THRESHOLD = 0.5
_LOOSE = 0.6  # below, rows that agree in two parts are compared

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # kana and Chinese characters
)
_WORD = re.compile(f"[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_ALL_UNSPACED = re.compile(f"[{_UNSPACED}]+")
_BETWEEN = re.compile(r"[\W_]+")
_ASCII_WORDS = bytes(code if chr(code).isalnum() and code < 128 else 32 for code in range(256))

_SKETCH_BITS = 30  # Python's integers are fastest below this; a hundred thousand words share some hashes of this size,
_FULL_BITS = 60  # so likeness is confirmed by longer ones
_PARTS = 32
_PART_SHIFT = _SKETCH_BITS - 5
_of_integers: Any = operator  # whose functions are not typed
_shifted: Callable[[int, int], int] = _of_integers.rshift
_mixed: Callable[[int, int], int] = _of_integers.xor
_ONES, _PART_SHIFTS = repeat(1), repeat(_PART_SHIFT)
# Which parts an empty one borrows from, first to last: each has another order, or texts of few words would be missed.
_DONORS = [
    [donor for _, donor in sorted((blake2b(bytes((part, donor))).digest(), donor) for donor in range(_PARTS))]
    for part in range(_PARTS)
]
_CODES_KEPT = 1 << 18
_KEPT = 1 << 14
_CHUNK = 1 << 16

_SAMPLE, _SAMPLED = 1_000, 1 << 14  # rows, and characters of each
_COMMON_SHARE, _COMMON_ROWS = 0.25, 20

_SMALL_BUCKET = 16
_LEADERS, _NEIGHBOURS = 2, 2
# A row that was compared in vain so often is only compared where more speaks for it, and then not at all. A comparison
# counts once more for every so many word pairs.
_FAILURES, _MOST_FAILURES, _SHORT = 16, 64, 16
_REMEMBERED = 1 << 20


class Near(NamedTuple):
    """A row and an earlier one that it resembles."""

    row: int
    earlier: int
    similarity: float


def searched_by_default(*parts: Rows) -> bool:
    """Whether the rows are few and short enough to be searched without being asked for."""
    if sum(map(len, parts)) > NEAR_ROWS:
        return False
    return sum(chain.from_iterable(part.content_lengths() for part in parts)) <= NEAR_BYTES


def batches_of(rows: Rows) -> Iterable[Batch]:
    """The rows, small sets at once."""
    return [Batch(rows, range(len(rows)))] if searched_by_default(rows) else rows.batches()


def near_pairs(rows: Rows, *, threshold: float = THRESHOLD, by: By = "content") -> list[Near]:
    """Pairs of rows that resemble each other, equal ones included, in the order of the rows.

    Each row that resembles earlier ones is paired with one of them at least, and the pairs tie together all that are
    tied by likeness: of a thousand equal rows 999 pairs are given, not half a million.

    With `by="content"` both what is asked and what is answered must be alike, and the lower similarity counts; with
    `by="prompt"` what is asked decides, which is the whole text where nothing is asked. Rows with images or other parts
    that are not text, and rows without a word, resemble none.
    """
    return _Search((rows,), checked_threshold(threshold), by).pairs()


def near_groups(rows: Rows, *, threshold: float = THRESHOLD, by: By = "content") -> list[list[int]]:
    """Rows that are tied together by likeness, each group and all groups in the order of the rows."""
    ties = Ties()
    for row, earlier, _ in near_pairs(rows, threshold=threshold, by=by):
        ties.join(row, earlier)
    groups: dict[int, list[int]] = defaultdict(list)
    for row in range(len(rows)):
        if row in ties:
            groups[ties.root(row)].append(row)
    return list(groups.values())


def near_unlike(rows: Rows, kinds: Sequence[int], *, threshold: float = THRESHOLD, by: By = "prompt") -> list[Near]:
    """Rows that resemble an earlier one of another kind, such as another label, each with one of these."""
    return _Search((rows,), checked_threshold(threshold), by, kinds).pairs()


def near_across(training: Rows, validation: Rows, *, threshold: float = THRESHOLD, by: By = "prompt") -> list[Near]:
    """Validation rows that resemble a training row, each with one: `row` is validation's, `earlier` training's."""
    sides = bytes(len(training)) + b"\1" * len(validation)
    found = _Search((training, validation), checked_threshold(threshold), by, sides).pairs()
    return [Near(row - len(training), earlier, similarity) for row, earlier, similarity in found]


def checked_threshold(value: object, name: str = "threshold") -> float:
    """A threshold that the search can hold."""
    if isinstance(value, int | float) and not isinstance(value, bool) and _LEAST_THRESHOLD <= value <= 1:
        return float(value)
    raise ParameterError(
        f"{name}={shown(value)}: give the least similarity, a number from {_LEAST_THRESHOLD} to 1.", parameter=name
    )


class Ties:
    """Which numbers are tied together, directly or by others; the least of them stands for all."""

    __slots__ = ("_parents",)

    def __init__(self) -> None:
        self._parents: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._parents)

    def __contains__(self, number: int) -> bool:
        return number in self._parents

    def join(self, one: int, other: int) -> bool:
        """Tie two numbers; False where they are tied already."""
        low, high = sorted((self.root(one), self.root(other)))
        self._parents.setdefault(low, low)
        self._parents[high] = low
        return low != high

    def tied(self, one: int, other: int) -> bool:
        """Whether two numbers are tied together."""
        return self.root(one) == self.root(other)

    def root(self, number: int) -> int:
        """The least number that is tied to this one."""
        parents = self._parents
        root = number
        while (above := parents.get(root, root)) != root:
            root = above
        while number != root:
            above = parents[number]
            parents[number] = root
            number = above
        return root


# word pairs


class _Codes(dict[bytes | str, int]):
    """A number for each word, the same in every process."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._shift = 64 - bits

    def __missing__(self, word: bytes | str) -> int:
        data = word if isinstance(word, bytes) else word.encode("utf-8", "surrogatepass")
        code = int.from_bytes(blake2b(data, digest_size=8).digest()) >> self._shift
        if len(self) < _CODES_KEPT:
            self[word] = code
        return code


def _words(text: str) -> Sequence[bytes | str]:
    if text.isascii():
        return text.lower().encode().translate(_ASCII_WORDS).split()
    text = text.casefold()
    found: list[bytes | str] = []
    for run in _BETWEEN.split(text):
        if run.isascii():
            if run:
                found.append(run)
        elif _ALL_UNSPACED.fullmatch(run):
            found += run
        else:
            found += _WORD.findall(run)
    return found


class _WordPairs:
    """The pairs of neighbouring words in a text, as hashes; a single word is a pair of its own."""

    __slots__ = ("_code", "_common")

    def __init__(self, bits: int) -> None:
        self._code = _Codes(bits).__getitem__
        self._common: frozenset[int] = frozenset()

    def leave_out_common(self, texts: Sequence[str]) -> None:
        """From now on the pairs that many of these texts hold do not count, unless a text has no others."""
        counts = Counter(chain.from_iterable(map(self.of, texts)))
        most = max(_COMMON_ROWS - 1, _COMMON_SHARE * len(texts))
        self._common = frozenset(pair for pair, times in counts.items() if times > most)

    def of(self, text: str) -> set[int]:
        """The pairs, of a long text a sample."""
        if len(text) > _CHUNK:
            return self._of_long(text)
        codes = list(map(self._code, _words(text)))
        found = set(map(_mixed, map(_shifted, codes, _ONES), codes[1:])) if len(codes) != 1 else set(codes)
        return (found - self._common or found) if self._common else found

    def _of_long(self, text: str) -> set[int]:
        found: set[int] = set()
        for start in range(0, len(text), _CHUNK):
            found |= self.of(text[start : start + _CHUNK])
            if len(found) > 4 * _KEPT:
                found = set(sorted(found)[:_KEPT])
        return set(sorted(found)[:_KEPT])


def similarity(one: set[int], other: set[int]) -> float:
    """The share of word pairs that both have; texts without a word are alike."""
    if len(one) == _KEPT or len(other) == _KEPT:
        end = min(max(pairs) for pairs in (one, other) if len(pairs) == _KEPT)
        one, other = ({pair for pair in pairs if pair <= end} for pairs in (one, other))
    both = len(one & other)
    every = len(one) + len(other) - both
    return both / every if every else 1.0


# the search


@dataclass(slots=True)
class _Sketches:
    """What is kept of each row while the others are looked at: some 150 bytes."""

    bands: int
    sizes: array[int] = field(default_factory=lambda: array("I"))
    """The number of word pairs; 0 for a row that resembles none."""
    marks: array[int] = field(default_factory=lambda: array("Q"))
    """Equal for rows with equal word pairs."""
    keys: array[int] = field(default_factory=lambda: array("q"))
    """For each row, the hash of each band."""

    def agree(self, row: int, other: int) -> int:
        """In how many bands two rows agree."""
        here, there = row * self.bands, other * self.bands
        return sum(map(operator.eq, self.keys[here : here + self.bands], self.keys[there : there + self.bands]))

    def add(self, pairs: set[int], agreeing: int) -> None:
        """Take up the next row; a band is so many parts that must agree."""
        self.sizes.append(len(pairs))
        if not pairs:
            self.marks.append(0)
            self.keys.extend(repeat(0, self.bands))
            return
        falling = sorted(pairs, reverse=True)
        self.marks.append(int.from_bytes(blake2b(array("I", falling).tobytes(), digest_size=8).digest()))
        least = dict(zip(map(_shifted, falling, _PART_SHIFTS), falling, strict=False))
        if len(least) < _PARTS:
            least |= {
                part: least[next(filter(least.__contains__, donors))]
                for part, donors in enumerate(_DONORS)
                if part not in least
            }
        parts = list(map(least.__getitem__, range(_PARTS)))
        if agreeing == 2:
            self.keys.extend(map(hash, zip(parts, parts[11:], strict=False)))
        else:
            self.keys.extend(map(hash, zip(parts, parts[8:], parts[16:], strict=False)))


class _Search:
    def __init__(self, parts: Sequence[Rows], threshold: float, by: By, kinds: Sequence[int] | None = None) -> None:
        self._parts, self._threshold, self._by, self._kinds = parts, threshold, by, kinds
        self._sketched, self._full = _WordPairs(_SKETCH_BITS), _WordPairs(_FULL_BITS)
        sample = ["\n".join(self._read(row))[:_SAMPLED] for row in self._sample()]
        for word_pairs in (self._sketched, self._full):
            word_pairs.leave_out_common(sample)
        self._agreeing = 3 if threshold >= _LOOSE else 2
        self._sketches = _Sketches(_PARTS - (16 if self._agreeing == 3 else 11))
        self._ties = Ties()
        self._found: list[Near] = []
        self._paired: set[int] = set()
        self._partners: dict[int, int] = {}
        self._failures: Counter[tuple[int, bool]] = Counter()
        self._failed: set[tuple[int, int]] = set()
        self._texts = lru_cache(maxsize=64)(self._pairs_of)

    def pairs(self) -> list[Near]:
        for part in self._parts:
            self._sketch(part)
        for one, other in self._candidates():
            self._compare(one, other)
        self._found.sort()
        return self._found

    # reading

    def _where(self, row: int) -> tuple[Rows, int]:
        first = self._parts[0]
        return (first, row) if row < len(first) else (self._parts[1], row - len(first))

    def _compared(self, example: Example, *, nothing_asked: bool) -> tuple[str, ...]:
        asked, answered = asked_and_answered(example)
        if self._by == "content":
            return asked, answered
        return (answered if nothing_asked else asked,)

    def _read(self, row: int) -> tuple[str, ...]:
        rows, number = self._where(row)
        nothing_asked = bool(rows.flags(range(number, number + 1))[0] & NOTHING_ASKED)
        return self._compared(rows[number], nothing_asked=nothing_asked)

    def _pairs_of(self, row: int) -> list[set[int]]:
        return list(map(self._full.of, self._read(row)))

    def _sketch(self, rows: Rows) -> None:
        add, pairs_of, agreeing = self._sketches.add, self._sketched.of, self._agreeing
        for batch in batches_of(rows):
            nothing_asked = set(batch.flagged(NOTHING_ASKED))
            for row, example in enumerate(batch.examples, batch.start):
                texts = self._compared(example, nothing_asked=row in nothing_asked)
                add(pairs_of("\n".join(texts)), agreeing)

    def _sample(self) -> list[int]:
        """Some rows that ask different things, the same whatever the order of the rows."""
        keys = array("Q", chain.from_iterable(part.row_keys() for part in self._parts))
        chosen = set(sorted(set(keys))[:_SAMPLE])
        if len(chosen) < _COMMON_ROWS:
            return []
        standing_for: dict[int, tuple[bytes, int]] = {}
        for row, key in enumerate(keys):
            if key in chosen:
                mine = (self._digest(row), row)
                standing_for[key] = min(mine, standing_for.get(key, mine))
        return [row for _, row in standing_for.values()]

    # finding

    def _candidates(self) -> Iterator[tuple[int, int]]:
        """Rows that may be alike, each as (row, other): by content, for the order of the rows must decide nothing."""
        marks, keys, bands = self._sketches.marks, self._sketches.keys, self._sketches.bands
        first: dict[tuple[int, int], int] = {}
        stands_in = bytearray(len(marks))
        followers: list[tuple[int, int]] = []
        for row, size in enumerate(self._sketches.sizes):
            if not size:
                continue
            earlier = first.setdefault((marks[row], 0 if self._kinds is None else self._kinds[row]), row)
            if earlier == row:
                stands_in[row] = True
            elif self._kinds is None:
                yield row, earlier
            else:
                followers.append((row, earlier))
        first.clear()
        for band in range(bands):
            column = array("Q")
            column.frombytes(keys[band::bands].tobytes())
            shared = repeated(column)
            buckets: dict[int, list[int]] = defaultdict(list)
            for row in [row for row, key in enumerate(column) if key in shared and stands_in[row]] if shared else ():
                buckets[column[row]].append(row)
            for _, bucket in sorted(buckets.items()):
                bucket.sort(key=lambda row: (marks[row], row))
                yield from self._within(bucket) if self._kinds is None else _unlike(bucket, self._kinds)
        yield from ((row, self._partners[earlier]) for row, earlier in followers if earlier in self._partners)

    def _within(self, bucket: list[int]) -> Iterator[tuple[int, int]]:
        """All pairs of a small bucket, of a large one so many that the time stays linear."""
        for place, row in enumerate(bucket):
            others = bucket[:place]
            if place > _SMALL_BUCKET:
                others = bucket[:_LEADERS] + bucket[place - _NEIGHBOURS : place]
            for other in others:
                yield row, other

    def _compare(self, row: int, other: int) -> None:
        earlier, later = sorted((row, other))
        tied = self._kinds is None and self._ties.tied(row, other)
        if later in self._paired and (tied or self._kinds is not None):
            return
        if not self._worth_reading(row, other, tied=tied):
            return
        likeness = self._similarity(row, other)
        if likeness < self._threshold:
            self._failures[row, tied] += 1 + self._sketches.sizes[row] // _SHORT
            if len(self._failed) > _REMEMBERED:
                self._failed.clear()
            self._failed.add((earlier, later))
            return
        self._ties.join(row, other)
        self._paired.add(later)
        if self._kinds is not None:
            self._partners.setdefault(later, earlier)
            self._partners.setdefault(earlier, later)
        self._found.append(Near(later, earlier, likeness))

    def _worth_reading(self, row: int, other: int, *, tied: bool) -> bool:
        low, high = sorted((self._sketches.sizes[row], self._sketches.sizes[other]))
        if low < self._threshold * high or (min(row, other), max(row, other)) in self._failed:
            return False
        failures = self._failures[row, tied]
        return failures < _FAILURES or (failures < _MOST_FAILURES and self._sketches.agree(row, other) > 1)

    def _similarity(self, row: int, other: int) -> float:
        if self._sketches.marks[row] == self._sketches.marks[other] and self._digest(row) == self._digest(other):
            return 1.0
        likeness = 1.0
        for one, two in zip(self._texts(row), self._texts(other), strict=True):
            likeness = min(likeness, similarity(one, two))
            if likeness < self._threshold:
                break
        return likeness

    def _digest(self, row: int) -> bytes:
        rows, number = self._where(row)
        return rows.digest(number)


def _unlike(bucket: list[int], kinds: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Each row of a bucket with some of the other kinds."""
    some: dict[int, list[int]] = {}
    for row in bucket:
        if len(some) < _SMALL_BUCKET or kinds[row] in some:
            mine = some.setdefault(kinds[row], [])
            if len(mine) < _SMALL_BUCKET:
                mine.append(row)
    for row in bucket:
        for kind, others in some.items():
            if kind != kinds[row]:
                for other in others:
                    yield row, other
