"""Result files of hosts, read into numbers: each host has its own columns, and some send theirs in base64."""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finetune_kit._quoting import quoted
from finetune_kit.errors import FormatError

MAX_BYTES = 64 << 20
"""A million steps, and more; what is larger is no result file."""

STEP = "step"
COLUMNS: Mapping[str, tuple[str, ...]] = {
    # The best first: the whole validation set says more than a batch of it.
    "train_loss": ("train_loss", "training_loss"),
    "train_accuracy": ("train_accuracy", "train_mean_token_accuracy", "training_token_accuracy"),
    "valid_loss": ("full_valid_loss", "full_validation_loss", "valid_loss", "validation_loss"),
    "valid_accuracy": (
        "full_valid_mean_token_accuracy",
        "full_validation_mean_token_accuracy",
        "valid_mean_token_accuracy",
        "validation_mean_token_accuracy",
        "validation_token_accuracy",
        "valid_accuracy",
    ),
    "train_reward": ("train_mean_reward", "train_reward_mean", "train_reward"),
    "valid_reward": ("full_valid_mean_reward", "valid_mean_reward", "valid_reward_mean", "valid_reward"),
}
_MAY_BE_NEGATIVE = frozenset({"train_reward", "valid_reward"})
"""Elsewhere, -1 is how hosts write that nothing was measured."""


@dataclass(frozen=True, slots=True)
class Line:
    """One step."""

    step: int
    fields: Mapping[str, float]
    """By our names; only what was measured."""
    more: Mapping[str, float]
    """By the host's names: columns that are none of our fields."""


def lines_of(content: bytes, own_columns: Mapping[str, Sequence[str]] | None = None) -> Iterator[Line]:
    """The steps of a result file; `own_columns` are the host's own names for our fields, and go before the known ones.

    CSV as it is or in base64, in UTF-8 or UTF-16. `FormatError`, with the row, where it is none or breaks off.
    """
    if len(content) > MAX_BYTES:
        raise FormatError(
            f"the result file has {len(content):,} bytes, and none that is one has more than {MAX_BYTES:,}. See what "
            "it holds with backend.file_content."
        )
    text = _csv_text(content)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        table = _Table(_header(next(reader, list[str]())), own_columns or {})
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield table.line(cells, reader.line_num)
    except csv.Error as error:
        row = max(1, reader.line_num)
        raise FormatError(f"row {row} of the result file is not CSV: {error}. Download it again.", row=row) from error


class _Table:
    """Where which number stands in a row."""

    def __init__(self, header: Sequence[str], own_columns: Mapping[str, Sequence[str]]) -> None:
        self._header = header
        self._places = {name: place for place, name in reversed(list(enumerate(header))) if name}
        self._step = self._places.pop(STEP)
        self._sources: dict[str, list[str]] = {}
        for field, names in COLUMNS.items():
            wanted = [*(name.strip().casefold() for name in own_columns.get(field, ())), *names]
            self._sources[field] = [name for name in dict.fromkeys(wanted) if name in self._places]
        self._known = {name for names in self._sources.values() for name in names}

    def line(self, cells: Sequence[str], row: int) -> Line:
        if len(cells) != len(self._header) and any(cell.strip() for cell in cells[len(self._header) :] or [","]):
            raise FormatError(
                f"row {row} of the result file has {len(cells)} cells, and the header {len(self._header)}: it is "
                "damaged, or breaks off here. Download it again.",
                row=row,
            )
        step = self._number(cells[self._step], row, STEP)
        if step is None or not step.is_integer() or step < 0:
            raise FormatError(f"row {row} of the result file has no step number.", row=row)
        fields: dict[str, float] = {}
        taken: set[str] = set()
        for field, names in self._sources.items():
            for name in names:
                number = self._number(cells[self._places[name]], row, name)
                if number is not None and (number != -1 or field in _MAY_BE_NEGATIVE):
                    fields[field] = number
                    taken.add(name)
                    break
        return Line(int(step), fields, self._more(cells, taken))

    def _more(self, cells: Sequence[str], taken: set[str]) -> dict[str, float]:
        """What is left; a cell that is no number, such as a name, is none of our business."""
        found: dict[str, float] = {}
        for name, place in self._places.items():
            if name not in taken:
                try:
                    number = float(cells[place])
                except ValueError:
                    continue
                if math.isfinite(number) and (number != -1 or name not in self._known):
                    found[name] = number
        return found

    @staticmethod
    def _number(cell: str, row: int, column: str) -> float | None:
        if not cell.strip():
            return None
        try:
            number = float(cell)
        except ValueError as error:
            message = f"row {row} of the result file: {column} is {quoted(cell)}, not a number."
            raise FormatError(message, row=row) from error
        return number if math.isfinite(number) else None


def _header(cells: Sequence[str]) -> list[str]:
    header = [cell.strip().casefold() for cell in cells]
    if STEP not in header:
        raise FormatError(f"the result file has no column 'step'; its header is {quoted(','.join(cells))}.")
    return header


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return next((mark for mark in (",", ";", "\t") if mark in first), ",")


def _csv_text(content: bytes) -> str:
    """As it is, where its first line names the steps; else what it says in base64."""
    text = _text(content)
    if text is not None and _names_steps(text):
        return text
    inner = _from_base64(text) if text is not None else None
    inner_text = _text(inner) if inner is not None else text
    if inner_text is None:
        raise FormatError("the result file is not text. Download it again.")
    return inner_text


def _names_steps(text: str) -> bool:
    first = text.lstrip().partition("\n")[0].casefold().replace(";", ",").replace("\t", ",")
    return STEP in (cell.strip().strip('"') for cell in first.split(","))


def _from_base64(text: str) -> bytes | None:
    packed = "".join(text.split()).rstrip("=")
    try:
        return base64.b64decode(
            packed + "=" * (-len(packed) % 4), altchars="-_" if {*"-_"} & {*packed} else None, validate=True
        )
    except (binascii.Error, ValueError):
        return None


def _text(content: bytes) -> str | None:
    """UTF-8 or UTF-16, without a byte-order mark, and without what pads a file at its ends."""
    encoding = "utf-8-sig"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif len(content) > 3 and content[1] == 0 != content[0]:
        encoding = "utf-16-le"
    elif len(content) > 3 and content[0] == 0 != content[1]:
        encoding = "utf-16-be"
    try:
        return content.decode(encoding).strip("\0\x1a \r\n") + "\n"
    except UnicodeDecodeError:
        return None
