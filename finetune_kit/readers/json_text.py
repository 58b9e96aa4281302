"""A walk through JSON text of any length: whole values, one by one or many together, with the lines they start on.

Values are mostly found by a guess that proves itself: the next place that looks like the start of another row ends this
one, if what lies before it is valid JSON, which text cut inside a string or a list never is. Where the guess fails, the
brackets are counted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from finetune_kit.errors import FormatError
from finetune_kit.readers.lines import line_ends

LONGEST_VALUE = 1 << 26
"""Bytes in one value, as in one line of JSON Lines."""

_FIRST_LOOK = 1 << 20
_TOGETHER = 1 << 17
_REACH = 1 << 16  # how far the guess looks ahead; what is longer is walked through
_MISSES = 100
_DEEPEST = 1024  # what the parser takes

_SPACE = re.compile(rb"[ \t\n\r]*")
_SCALAR = re.compile(rb'[^\s,:\[\]{}"]*')
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|["{}\[\]]', re.DOTALL)  # a lone quote is a string whose end is not here yet
_FIRST_KEY = re.compile(rb'\{[ \t\n\r]*("(?:[^"\\]++|\\.)*+")[ \t\n\r]*:', re.DOTALL)
_COLUMN = re.compile(_FIRST_KEY.pattern + rb"[ \t\n\r]*(?:\[[ \t\n\r]*+[^{]|\{)", re.DOTALL)
_OPENING, _QUOTE = b"{[", ord('"')


@dataclass(frozen=True, slots=True)
class Value:
    """One JSON value of the text; `parsed` is None as well where `error` says why it is not valid."""

    line: int
    raw: bytes
    parsed: object
    error: orjson.JSONDecodeError | None = None


@dataclass(frozen=True, slots=True)
class Objects:
    """Several objects of a series, from a position on."""

    parsed: list[Any]
    raw: list[bytes]
    edges: list[int]
    """Where each starts in the text at hand, and where the last ends."""


class JsonText:
    """A position in the text, which is held in memory from there on, as far as it is needed."""

    def __init__(self, pieces: Iterator[bytes], *, path: str) -> None:
        self._pieces = pieces
        self._path = path
        self._data = b""
        self._at = 0
        self._next_row: re.Pattern[bytes] | None = None
        self._hits = self._misses = 0
        self.line = 1
        while len(self._data) < _FIRST_LOOK and self._more():
            pass
        self.is_one_line = b"\n" not in self._data and b"\r" not in self._data
        """Whether there is no line end in the first megabyte, so that lines tell nothing."""

    def peek(self) -> bytes:
        """The next character that is not white space, which is skipped; nothing at the end."""
        while True:
            found = _SPACE.match(self._data, self._at)
            end = found.end() if found else self._at
            if end < len(self._data) or not self._more():
                break
        self._skip(end - self._at)
        return self._data[self._at : self._at + 1]

    def take(self, character: bytes) -> bool:
        """Step over `character` if it is the next."""
        if self.peek() != character:
            return False
        self._skip(1)
        return True

    def value(self, *, separator: bytes) -> Value:
        """The value that starts here, in a series whose members have `separator` between them."""
        line = self.line
        guessed = self._guess(separator) if self._data[self._at] in b"{" else None
        if guessed is not None:
            return guessed
        raw = self.until(self._end())
        try:
            return Value(line, raw, orjson.loads(raw))
        except orjson.JSONDecodeError as error:
            return Value(line, raw, None, error)

    def objects(self, *, separator: bytes) -> Objects | None:
        """The objects that start here, as many as are at hand, in a series like that of `value`; None if in doubt.

        They are cut where one seems to end and another with the same first key to start. The cuts are right if each
        piece is valid alone; or, with one parse for all, if there are as many objects as pieces and braces that open.
        """
        pattern = self._learn_next_row(separator)
        if pattern is None:
            return None
        if len(self._data) - self._at < _TOGETHER:
            self._more()
        data = self._data
        cuts = [found.span() for found in pattern.finditer(data, self._at, self._at + _TOGETHER)]
        if not cuts:
            return None
        starts = [self._at, *(start for _, start in cuts[:-1])]
        raw = [data[start : brace + 1] for start, (brace, _) in zip(starts, cuts, strict=True)]
        end = cuts[-1][0] + 1
        try:
            if data.count(b"{", self._at, end) > len(raw):
                return Objects(list(map(orjson.loads, raw)), raw, [*starts, end])
            parsed: list[Any] = orjson.loads(b"[" + b",".join(raw) + b"]")
        except orjson.JSONDecodeError:
            return None
        return Objects(parsed, raw, [*starts, end]) if len(parsed) == len(raw) else None

    def step_over(self, objects: Objects) -> list[int]:
        """Go on behind these objects; the line of each."""
        data, end = self._data, objects.edges[-1]
        spans = itertools.pairwise(objects.edges)
        if b"\r" in data:
            counts = [line_ends(data, start, stop) for start, stop in spans]
        else:
            counts = [data.count(b"\n", start, stop) for start, stop in spans]
        *lines, self.line = itertools.accumulate(counts, initial=self.line)
        self._at = end
        return lines

    def until(self, length: int) -> bytes:
        """The next `length` bytes, stepped over."""
        raw = self._slice(0, length)
        self._skip(length)
        return raw

    def may_hold_columns(self) -> bool:
        """Whether the first value of the object that starts here is an object, or a list of anything else."""
        return _COLUMN.match(self._data, self._at) is not None

    def whole_object(self, limit: int) -> tuple[bytes, bool] | None:
        """The object that starts here, and whether more follows, unless it is longer than `limit` bytes."""
        depth = 0
        for kind, _, end in self._tokens():
            if kind != _QUOTE:
                depth += 1 if kind in _OPENING else -1
            if end > limit:
                break
            if not depth:
                return self._slice(0, end), self._follows(end)
        return None

    def list_of_objects(self) -> tuple[str, int] | None:
        """The key of the first list of objects in the object that starts here, and where its bracket stands."""
        depth = 0
        key, bracket = (0, 0), (0, 0)
        for kind, start, end in self._tokens():
            if kind == ord("{") and bracket[1] and not self._slice(bracket[1], start).strip():
                return _text(self._slice(*key)), bracket[0]
            bracket = (0, 0)
            if kind == _QUOTE:
                key = (start, end)
            elif kind in _OPENING:
                depth += 1
                if depth == 2 and kind == ord("[") and self._slice(key[1], start).strip() == b":":
                    bracket = (start, end)
            else:
                depth -= 1
                if not depth:
                    break
        return None

    def rest_of_object(self) -> bytes:
        """What is left of the object in which the position is, stepped over."""
        return self.until(self._end(depth=1))

    def error(self, what: str) -> FormatError:
        """The error that says what is wrong here."""
        return FormatError(f"{self._path} row {self.line}: {what}", path=self._path, row=self.line)

    def _guess(self, separator: bytes) -> Value | None:
        if self._misses > _MISSES and self._misses > self._hits:
            return None
        next_row = self._learn_next_row(separator)
        if next_row is None:
            return None
        found = next_row.search(self._data, self._at, self._at + _REACH)
        if found is None and len(self._data) - self._at < _REACH and self._more():
            found = next_row.search(self._data, self._at, self._at + _REACH)
        if found is not None:
            raw = self._data[self._at : found.start() + 1]
            try:
                value = Value(self.line, raw, orjson.loads(raw))
            except orjson.JSONDecodeError:
                pass
            else:
                self._hits += 1
                self._skip(len(raw))
                return value
        self._misses += 1
        return None

    def _learn_next_row(self, separator: bytes) -> re.Pattern[bytes] | None:
        """What the end of a row and the start of the next look like, by the row that starts here."""
        if self._next_row is None and (key := _FIRST_KEY.match(self._data, self._at)):
            space = rb"[ \t\n\r]*"
            between = rb"\}" + space + separator + space + rb"(?=\{" + space
            self._next_row = re.compile(between + re.escape(key[1]) + space + rb":)")
        return self._next_row

    def _end(self, *, depth: int = 0) -> int:
        """The length of the value that starts here, or, from inside one, of what is left of it."""
        if not depth and self._data[self._at] not in b'"{[':
            return self._scalar_length()
        for kind, _, end in self._tokens():
            if kind in _OPENING:
                depth += 1
                if depth > _DEEPEST:
                    raise self.error(f"a value is nested deeper than {_DEEPEST:,} levels. Flatten it.")
            elif kind != _QUOTE:
                depth -= 1
            if depth <= 0:
                return end
        raise self.error("a list, an object or a text opened here is never closed. Is the file cut off?")

    def _scalar_length(self) -> int:
        while True:
            found = _SCALAR.match(self._data, self._at)
            end = found.end() if found else self._at
            if end < len(self._data) or not self._more():
                return max(1, end - self._at)

    def _tokens(self) -> Iterator[tuple[int, int, int]]:
        """Strings and brackets from here on: the first character, start and end, counted from the position."""
        done = 0
        while True:
            for token in _TOKEN.finditer(self._data, self._at + done):
                start, end = token.start() - self._at, token.end() - self._at
                kind = self._data[token.start()]
                if kind == _QUOTE and end - start == 1:
                    break
                done = end
                yield kind, start, end
            else:
                done = len(self._data) - self._at
            if not self._more():
                return

    def _follows(self, offset: int) -> bool:
        while not self._data[self._at + offset :].strip():
            if not self._more():
                return False
        return True

    def _slice(self, start: int, stop: int) -> bytes:
        return self._data[self._at + start : self._at + stop]

    def _skip(self, length: int) -> None:
        self.line += line_ends(self._data, self._at, self._at + length)
        self._at += length

    def _more(self) -> bool:
        """Have more of the text in memory, at least doubling what is there, so that long values cost no more."""
        rest = self._data[self._at :]
        if len(rest) > LONGEST_VALUE:
            raise self.error(f"a value is longer than {LONGEST_VALUE:,} bytes. Is this a list of rows?")
        pieces, size = [rest], 0
        while size <= len(rest) and (piece := next(self._pieces, b"")):
            pieces.append(piece)
            size += len(piece)
        if size:
            self._data, self._at = b"".join(pieces), 0
        return size > 0


def _text(raw: bytes) -> str:
    try:
        key: Any = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw.decode("utf-8", "backslashreplace")
    return str(key)
