"""Warnings that name the line of the user's own program, however deep in the package they arise."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import currentframe
from types import FrameType
from typing import Any, cast

_REGISTRY = "__warningregistry__"
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - as frames name their files


@dataclass(frozen=True, slots=True)
class _Line:
    file: str
    number: int
    names: dict[str, Any]
    """Of its module, which remembers what was shown."""


_asked_from: ContextVar[_Line | None] = ContextVar("asked_from", default=None)


def warn_user(warning: Warning) -> None:
    """Show a warning at the line that called the package, as often as the program's filters say."""
    line = _asked_from.get() or _callers_line()
    warnings.warn_explicit(
        warning,
        type(warning),
        line.file,
        line.number,
        module=cast("str | None", line.names.get("__name__")) or "<unknown>",
        registry=cast("dict[str | tuple[str, type[Warning], int], int]", line.names.setdefault(_REGISTRY, {})),
    )


@contextmanager
def asked_from_here() -> Generator[None]:
    """What is done within, in other threads too, is asked for by the line that called the package."""
    token = _asked_from.set(_asked_from.get() or _callers_line())
    try:
        yield
    finally:
        _asked_from.reset(token)


def _callers_line() -> _Line:
    """What called the outermost function of the package: between inner ones may stand others, such as tenacity's."""
    frame = found = cast("FrameType", currentframe())
    while (outer := frame.f_back) is not None:
        if frame.f_code.co_filename.startswith(_PACKAGE):
            found = outer
        frame = outer
    return _Line(found.f_code.co_filename, found.f_lineno, found.f_globals)
