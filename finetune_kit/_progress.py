"""How far something long has come: one line on a terminal, nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is going on and the share of it that is done, from 0 to 1."""

_WIDTH = 30


def print_progress(what: str, share: float) -> None:
    """One line on a terminal's standard error, drawn again as it grows."""
    if not sys.stderr.isatty():
        return
    bar = ("━" * round(share * _WIDTH)).ljust(_WIDTH, "╌")
    sys.stderr.write(f"\r{what} {bar} {share:4.0%}" + ("\n" if share >= 1 else ""))
    sys.stderr.flush()
