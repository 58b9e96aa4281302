"""What every reader does with its rows: keep the good, collect the refused, and account for all of them."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from finetune_kit._canonical import kind_of
from finetune_kit._refused import RefusedRowsBuilder
from finetune_kit.errors import ColumnError, DataError, EmptyDataError, FormatError, RowError
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Kind, Message
from finetune_kit.rows import DAMAGED, Origin, Refusal, Rows, RowsBuilder, Source

REFUSALS_KEPT = 1000
_TEXT_LENGTH = 200
_REASONS_SHOWN = 3
_ROWS_SHOWN = 3

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _TEXT_LENGTH


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The rows, and how they were understood."""

    rows: Rows
    source: Source


@dataclass(frozen=True, slots=True)
class Understanding:
    """The part of `Source` that a reader knows and the intake does not."""

    format: str
    columns: Mapping[str, str]
    notes: tuple[str, ...] = ()
    encoding: str | None = None
    confidence: float | None = None
    bom: bool = False
    delimiter: str | None = None


class Pairs(NamedTuple):
    """Many completion rows at once."""

    prompts: Sequence[str]
    completions: Sequence[str]
    metadata: Sequence[Mapping[str, JsonValue]] | None = None
    """Nothing but text, truth values, null and whole numbers of 64 bits."""
    written: Sequence[bytes] | None = None
    """Each content in its canonical form, where that is known already."""


class Chats(NamedTuple):
    """Many conversations at once, of messages with a role, a content that is text, and nothing else."""

    conversations: Sequence[Sequence[Mapping[str, str]]]
    written: Sequence[bytes] | None = None
    """As in `Pairs`."""


class Intake:
    """Takes rows one by one; the first good one decides the kind of all."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._builder: RowsBuilder | None = None
        self._refused = 0
        self._refusals: list[Refusal] = []
        self._refused_rows = RefusedRowsBuilder()
        self._repeated = self._first_repeated = 0

    def accept(self, example: Example, *, line: int, raw: object) -> None:
        """Keep a row, or refuse it where it cannot be kept."""
        if self._builder is None:
            self._builder = RowsBuilder(kind_of(example), path=self._path)
        try:
            if kind_of(example) != self._builder.kind:
                raise _mixed(kind_of(example), self._builder.kind)
            self._builder.add(example, line=line)
        except RowError as error:
            if not len(self._builder):
                self._builder = None
            self.refuse(error, line=line, raw=raw)

    def accept_pairs(self, pairs: Pairs, *, lines: Sequence[int], raw: Callable[[int], object]) -> None:
        """Keep many completion rows at once, or refuse those of them that cannot be kept.

        `raw` gives the row at a place in the list, as it was read.
        """
        prompts, completions, metadata, written = pairs
        if self._builder is None and prompts:
            self._builder = RowsBuilder("completion", path=self._path)
        try:
            if self._builder is not None and self._builder.kind == "completion":
                self._builder.add_pairs(prompts, completions, metadata, lines=lines, written=written)
                return
        except RowError:
            pass  # which of them it is, is found out one by one
        for place, (prompt, completion, line) in enumerate(zip(prompts, completions, lines, strict=True)):
            example = CompletionExample(prompt, completion, metadata[place] if metadata else {})
            self.accept(example, line=line, raw=raw(place))

    def accept_chats(self, chats: Chats, *, lines: Sequence[int], raw: Callable[[int], object]) -> None:
        """Keep many conversations at once, or refuse those of them that cannot be kept; like `accept_pairs`."""
        conversations, written = chats
        if self._builder is None and conversations:
            self._builder = RowsBuilder("chat", path=self._path)
        try:
            if self._builder is not None and self._builder.kind == "chat":
                self._builder.add_chats(conversations, lines=lines, written=written)
                return
        except RowError:
            pass  # which of them it is, is found out one by one
        for place, (turns, line) in enumerate(zip(conversations, lines, strict=True)):
            messages = tuple(Message(turn["role"], turn["content"]) for turn in turns)
            self.accept(ChatExample(messages), line=line, raw=raw(place))

    def refuse(self, error: RowError, *, line: int, raw: object) -> None:
        """Count a row that cannot be read and put it aside; the first thousand are remembered with the reason."""
        self._refused += 1
        self._refused_rows.add(error, line=line, raw=raw)
        if len(self._refusals) < REFUSALS_KEPT:
            self._refusals.append(Refusal(line, error.column, error.code, str(error), error.hint, _excerpt(raw)))

    def tell_repeated_key(self, *, line: int) -> None:
        """Count a row that was kept although an object in it has a key twice, of which parsers take the last."""
        self._first_repeated = self._first_repeated or line
        self._repeated += 1

    @property
    def rows_in(self) -> int:
        """Rows seen so far."""
        return self._refused + (len(self._builder) if self._builder else 0)

    @property
    def kind(self) -> Kind | None:
        """The kind of the first good row."""
        return self._builder.kind if self._builder else None

    def finish(self, understanding: Understanding) -> ReadResult:
        """The result; an error where there is nothing good in it."""
        if self._builder is None:
            raise self._nothing_good()
        rows = self._builder.build()
        source = Source(
            path=self._path,
            format=understanding.format,
            encoding=understanding.encoding,
            confidence=understanding.confidence,
            bom=understanding.bom,
            delimiter=understanding.delimiter,
            rows_read=len(rows),
            rows_refused=self._refused,
            refusals=tuple(self._refusals),
            columns=understanding.columns,
            notes=(*understanding.notes, *self._repeated_keys(), *_damage(rows)),
            first_rows=tuple(rows[: min(_ROWS_SHOWN, len(rows))]),
            refused_rows=self._refused_rows.build(),
        )
        return ReadResult(rows, source)

    def _repeated_keys(self) -> Iterator[str]:
        if self._repeated:
            has = "1 row has" if self._repeated == 1 else f"{self._repeated:,} rows have"
            first = Origin(self._path, self._first_repeated)
            yield f"{has} a key twice in one object, first in {first}; as in most programs, the last value counts."

    def _nothing_good(self) -> DataError:
        where = self._path or "The records"
        if not self._refused:
            return EmptyDataError(f"{where}: there are no rows. Check where they come from.", path=self._path)
        told = [
            f"{'row' if self._path else 'record'} {refusal.line}: {refusal.reason}. {refusal.hint}".rstrip(". ") + "."
            for refusal in _telling(self._refusals)
        ]
        missing = all(refusal.code == "missing_field" for refusal in self._refusals)
        kind = ColumnError if missing else FormatError
        none = "the only row could not" if self._refused == 1 else f"none of the {self._refused:,} rows could"
        return kind(
            f"{where}: {none} be read. " + " ".join(told),
            path=self._path,
            row=self._refusals[0].line,
        )


def _telling(refusals: Sequence[Refusal]) -> list[Refusal]:
    """A few that say most: one of each kind, and of the rarest kind more, for what most rows share is told by one."""
    times = Counter(refusal.code for refusal in refusals)
    firsts = {refusal.code: refusal.line for refusal in reversed(refusals)}
    chosen = sorted(refusals, key=lambda one: (firsts[one.code] != one.line, times[one.code], one.line))
    return sorted(chosen[:_REASONS_SHOWN], key=lambda one: one.line)


def _damage(rows: Rows) -> tuple[str, ...]:
    damaged = [row for row, flag in enumerate(rows.flags()) if flag & DAMAGED]
    if not damaged:
        return ()
    held = "1 row holds" if len(damaged) == 1 else f"{len(damaged):,} rows hold"
    note = (
        f"{held} characters that were lost (\ufffd) or misread (as \u00e9 becomes \u00c3\u00a9) before the file was "
        f"written, first in {rows.origin(damaged[0])}. If you can, export the data again, as UTF-8."
    )
    return (note,)


def _mixed(kind: Kind, expected: Kind) -> RowError:
    return RowError(
        f"this is a {kind} row, but the rows before it are {expected} rows",
        code="mixed_kinds",
        hint="Put the two kinds into two files",
    )


def _excerpt(raw: object) -> str:
    if isinstance(raw, bytes):
        return raw[: 4 * _TEXT_LENGTH].decode("utf-8", "backslashreplace").rstrip("\r\n")[:_TEXT_LENGTH]
    if isinstance(raw, str):
        return raw[: _TEXT_LENGTH + 2].rstrip("\r\n")[:_TEXT_LENGTH]
    return _SHORT.repr(raw)[:_TEXT_LENGTH]
