"""What a value in a host's data file may be: nothing is read into what was meant otherwise."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

LONGEST_NAME = 512
_MEASURES = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy", "train_reward", "valid_reward")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _number(value: object) -> object:
    """Pydantic would take true for 1 and "12" for 12."""
    if isinstance(value, bool | str):
        raise ValueError("a number is wanted")
    return value


def _day(value: object) -> object:
    """Pydantic would take 0 for the first day of 1970."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and _DAY.fullmatch(value):
        return value
    raise ValueError("a day such as 2027-01-14 is wanted")


def _ordered(ends: tuple[int, int]) -> tuple[int, int]:
    if ends[0] > ends[1]:
        raise ValueError(f"the least comes first: [{ends[1]}, {ends[0]}]")
    return ends


def _printable(name: str) -> str:
    if not name.isprintable() or name != name.strip():
        raise ValueError("a name without spaces around it and without line breaks is wanted")
    return name


def _address(url: str) -> str:
    try:
        parts = urlsplit(url)
        found = parts.scheme in {"http", "https"} and parts.hostname
    except ValueError:
        found = None
    if not found or re.search(r"\s", url):
        raise ValueError("an address such as https://api.example.com/v1 is wanted")
    return url


def _names_a_base(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"no regular expression: {error}") from error
    if "base" not in groups:
        raise ValueError("a regular expression with a group (?P<base>...) is wanted")
    return pattern


def _measure(name: str) -> str:
    if name not in _MEASURES:
        raise ValueError(f"one of {', '.join(map(repr, _MEASURES))} is wanted")
    return name


Dollars: TypeAlias = Annotated[float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)]
Multiplier: TypeAlias = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
Share: TypeAlias = Annotated[float, BeforeValidator(_number), Field(ge=0, lt=1)]
Count: TypeAlias = Annotated[int, BeforeValidator(_number), Field(ge=1)]
Range: TypeAlias = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
Flag: TypeAlias = Annotated[bool, Field(strict=True)]
Day: TypeAlias = Annotated[date, BeforeValidator(_day)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME), AfterValidator(_printable)]
Address: TypeAlias = Annotated[str, AfterValidator(_address)]
ContentType: TypeAlias = Annotated[str, Field(pattern=r"^[\w.+-]+/[\w.+-]+$")]
Variable: TypeAlias = Annotated[str, Field(pattern=r"^\w+$")]
"""Of the environment."""
BasePattern: TypeAlias = Annotated[str, AfterValidator(_names_a_base)]
JobWord: TypeAlias = Literal[
    "validating_files",
    "queued",
    "running",
    "pausing",
    "paused",
    "resuming",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
]
FileWord: TypeAlias = Literal["uploaded", "processed", "error", "deleted"]
Measure: TypeAlias = Annotated[str, AfterValidator(_measure)]
