"""What to say of a value that is not what it should be."""

from __future__ import annotations

from collections.abc import Iterable

from finetune_kit._quoting import described, literal
from finetune_kit.errors import RowError
from finetune_kit.readers.columns import shown


def wrong_type(where: str, value: object, *, hint: str = "") -> RowError:
    """The refusal of a value that is not what it should be, naming what it is."""
    return RowError(f"{where} is {described(value)}", code="wrong_type", hint=hint or _text_hint(value))


def missing(where: str, keys: Iterable[object], *, holder: str, hint: str) -> RowError:
    """The refusal of an object that lacks a key, naming those it has."""
    names = shown([str(key) for key in keys])
    return RowError(f"{where} is missing; the {holder} has: {names}", code="missing_field", hint=hint)


def _text_hint(value: object) -> str:
    if value is None:
        return 'Write it as a string, "" where it is empty'
    if isinstance(value, bool | int | float):
        return f'Write it as a string: "{literal(value)}"'
    return "Write it as one string"
