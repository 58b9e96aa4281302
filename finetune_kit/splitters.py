"""Which rows train and which are held out: decided by content and seed, never by position."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finetune_kit._dealing import Deal, EarlierSides, Facts, Order, Sides
from finetune_kit._quoting import quoted
from finetune_kit._times import Times, UnreadableTimeError, shown
from finetune_kit._units import NO_LABEL, Labels, UnitKeys, metadata_keys, metadata_text, tied
from finetune_kit.errors import ParameterError, SplitError
from finetune_kit.leaks import LeakReport, leak_report
from finetune_kit.near import NEAR_ROWS, THRESHOLD, Near, Ties, checked_threshold, near_pairs, searched_by_default
from finetune_kit.rows import Rows

__all__ = ["EarlierSides", "LeakReport", "SplitIndices", "Splitter", "earlier_sides", "leak_report"]

_KEYS_SHOWN = 20
_SIDES = ("training", "validation", "test")

# Near-duplicates that nobody asked to keep together must not move a cut by more than this share of the rows.
_NEAR_MAY_MISS = 0.02


@dataclass(frozen=True, slots=True)
class SplitIndices:
    """The rows of each side: every row on one side, each side in the order of the rows."""

    training: Sequence[int]
    validation: Sequence[int]
    test: Sequence[int]
    notes: tuple[str, ...] = ()
    """What was decided for the user, in sentences."""


@dataclass(frozen=True, slots=True)
class Splitter:
    """A share of the rows for training, another for the test, the rest for validation.

    Rows that must not be torn apart make a unit: those with the same prompt, exact duplicates among them, those with
    nearly the same prompt (`near`), or, with `group`, those with the same value of that metadata key, joined with every
    group that holds an equal row. Seed and content give each unit its place in the queue of all units, and the queue is
    cut where the shares come closest. So the sides are the same on every machine and for every order of the rows, and
    as exact as the units allow, which matters most for small sets.

    When the data grow, only units near a cut change sides; none does with `previous`. Among more than 1,000 rows
    without labels the cut stands at a fixed place wherever that misses no side's share by more than one row in a
    hundred, so that none changes either.
    """

    fraction: float = 0.8
    """The share of training, between 0 and 1."""
    seed: int = 0
    test: float = 0.0
    """The share of a third side."""
    stratify: str | None = None
    """`"completion"` or a metadata key: each value gets the same share on every side; `"none"`: no such care.

    None decides by the data: by completion where they look like classification, three rows or more to a completion.
    """
    group: str | None = None
    """A metadata key, such as a customer or a conversation, whose rows stay together; rows without it are their own."""
    time: str | None = None
    """A metadata key with dates: the oldest rows train, the newest are held out, for the test if there is one.

    ISO 8601, epoch numbers, and other forms that cannot be mistaken; a time without a zone counts as UTC.
    """
    near: bool | float | None = None
    """Whether rows that ask nearly the same stay together; a number is the least similarity, see `finetune_kit.near`.

    None: in sets of up to 20,000 rows and 16 MB, unless that would move a cut by more than one row in fifty.
    """
    previous: EarlierSides | None = None
    """An earlier split: rows that ask what was asked on a side stay there, new ones fill up to the shares."""

    def split(self, rows: Rows) -> SplitIndices:
        """Choose a side for every row, or raise `SplitError` where they cannot be split as asked."""
        self._check()
        notes: list[str] = []
        facts = self._look_up(rows, notes)
        order = Order(self.fraction, self.test, self.stratify, self.group, self.previous)
        deal = Deal(order, rows, facts, facts.keys)
        if self.near is False:
            sides = deal.sides()
        elif self.near is None:
            sides, deal = self._with_near_if_harmless(rows, deal, notes)
        else:
            deal = self._with_near(deal, self._near_pairs(rows), notes)
            sides = deal.sides()
        notes += deal.notes()
        notes += _time_notes(facts.times, sides)
        return SplitIndices(sides.training, sides.validation, sides.test, tuple(notes))

    def _check(self) -> None:
        if not 0 < self.fraction < 1:
            raise SplitError(f"fraction={self.fraction!r} is not the share of training: give a number such as 0.8.")
        if not 0 <= self.test < 1:
            raise SplitError(f"test={self.test!r} is not the share of a test side: give a number such as 0.1.")
        if self.fraction + self.test > 1 - 1e-9:
            raise SplitError(
                f"fraction={self.fraction!r} and test={self.test!r} leave no row for validation: "
                "make one of them smaller, so that together they stay under 1."
            )
        if self.time is not None and self.stratify not in {None, NO_LABEL}:
            raise SplitError(
                f"time={self.time!r} and stratify={self.stratify!r} ask for two different cuts: leave one of them out."
            )
        if self.time is not None and self.previous is not None:
            raise SplitError(
                f"time={self.time!r} cuts at a date, whatever the sides were before: leave out `previous`, or `time`."
            )
        if self.previous is not None and self.previous.test and not self.test:
            raise SplitError(
                "the earlier split has a test side: say which share of the rows it gets, such as test=0.1."
            )

    # what is known of the rows

    def _look_up(self, rows: Rows, notes: list[str]) -> Facts:
        keys = UnitKeys(rows, seed=self.seed)
        values: list[str | None] = []
        times = Times()
        labels = Labels(by=NO_LABEL if self.time is not None else self.stratify, rows=len(rows))
        for batch in rows.batches():
            if self.group is None and self.time is None and not labels.wanted:
                break  # nothing more is looked up in the rows themselves
            if self.group is not None:
                values += [metadata_text(example, self.group) for example in batch.examples]
            if self.time is not None:
                self._take_times(rows, times, [example.metadata.get(self.time) for example in batch.examples])
            labels.see(batch)
        if missing := values.count(None):
            notes.append(_missing(rows, "group", self.group or "", missing, "each prompt of theirs stands alone"))
        if self.stratify is not None and labels.without:
            notes.append(_missing(rows, "stratify", self.stratify, labels.without, "they count as one value"))
        return Facts(
            keys=keys.by_prompt() if self.group is None else keys.by_group(values),
            labels=labels.finish(),
            label_count=len(labels),
            times=self._finished(rows, times),
        )

    def _take_times(self, rows: Rows, times: Times, values: Sequence[object]) -> None:
        try:
            for value in values:
                times.add(value)
        except UnreadableTimeError as error:
            raise self._no_time(rows, error) from error

    def _finished(self, rows: Rows, times: Times) -> array[float]:
        try:
            return times.finish()
        except UnreadableTimeError as error:
            raise self._no_time(rows, error) from error

    def _no_time(self, rows: Rows, error: UnreadableTimeError) -> SplitError:
        key = self.time or ""
        if error.value is None or error.value == "":
            if key not in metadata_keys(rows):
                return SplitError(f"time={key!r}: no example has a value in such a column; {_columns(rows)}.")
            what = "is empty"
        else:
            what = f"{quoted(str(error.value))} {error.reason}"
        return SplitError(
            f"time={key!r}: {rows.origin(error.number)}: {what}. "
            "Write dates as 2024-03-05 or 2024-03-05T14:30, or leave such rows out."
        )

    # near-duplicates

    def _near_pairs(self, rows: Rows) -> list[Near]:
        asked = THRESHOLD if isinstance(self.near, bool) or self.near is None else self.near
        return near_pairs(rows, threshold=checked_threshold(asked, "near"), by="prompt")

    def _with_near(self, deal: Deal, pairs: Sequence[Near], notes: list[str]) -> Deal:
        keys, ties = deal.keys, Ties()
        touched: set[int] = set()
        for row, earlier, _ in pairs:
            if keys[row] != keys[earlier]:
                ties.join(keys[row], keys[earlier])
                touched |= {row, earlier}
        if not ties:
            return deal
        notes.append(f"{len(touched):,} examples that ask nearly the same as others were kept on one side with them.")
        return deal.tied(tied(keys, ties))

    def _with_near_if_harmless(self, rows: Rows, plain: Deal, notes: list[str]) -> tuple[Sides, Deal]:
        if not searched_by_default(rows):
            notes.append(
                f"Near-duplicates were not looked for among more than {NEAR_ROWS:,} examples or 16 MB: "
                "near=True keeps them on one side, for some 50 microseconds a row."
            )
            return plain.sides(), plain
        sides = plain.sides()
        told: list[str] = []
        together = self._with_near(plain, self._near_pairs(rows), told)
        try:
            near_sides = sides if together is plain else together.sides()
        except SplitError:
            near_sides = None
        may_miss = max(0.5, _NEAR_MAY_MISS * len(rows)) + plain.miss(sides)
        if near_sides is None or together.miss(near_sides) > may_miss:
            notes.append(
                "Near-duplicates were not kept on one side: so many examples ask nearly the same that the shares could "
                "not be kept. near=True keeps them together all the same."
            )
            return sides, plain
        notes += told
        return near_sides, together


def _time_notes(times: array[float], sides: Sequence[Sequence[int]]) -> Iterator[str]:
    if not times:
        return
    spans: list[str] = []
    for name, side in zip(_SIDES, sides, strict=True):
        if side:
            of_side = [times[row] for row in side]
            first, last = shown(min(of_side)), shown(max(of_side))
            spans.append(f"{name} from {first} to {last}" if first != last else f"{name} of {first}")
    yield f"By time: {', '.join(spans)}."


def _missing(rows: Rows, parameter: str, key: str, missing: int, consequence: str) -> str:
    """A note on rows without the key, or `SplitError` where no row has it."""
    if missing < len(rows):
        return f"{missing:,} of {len(rows):,} examples have no {key!r}: {consequence}."
    raise SplitError(f"{parameter}={key!r}: no example has a value in such a column; {_columns(rows)}.")


def _columns(rows: Rows) -> str:
    known = sorted(metadata_keys(rows))
    there = ", ".join(map(quoted, known[:_KEYS_SHOWN])) + (", …" if len(known) > _KEYS_SHOWN else "")
    return f"the columns there are besides the text: {there}" if known else "there are no columns besides the text"


def earlier_sides(previous: object, rows: Rows) -> EarlierSides:
    """The sides of an earlier split, given by the numbers of these rows."""
    if not isinstance(previous, SplitIndices):
        raise ParameterError(
            f"previous is {type(previous).__name__}: pass the earlier Split; two files make one by "
            "Split(Dataset.from_file(...), Dataset.from_file(...)).",
            parameter="previous",
        )
    try:
        return EarlierSides(*map(rows.take, (previous.training, previous.validation, previous.test)))
    except IndexError as error:
        raise ParameterError(
            f"previous names rows beyond the {len(rows):,} that there are. Pass the earlier Split instead.",
            parameter="previous",
        ) from error
