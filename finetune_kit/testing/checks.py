"""What a conformance suite keeps: which checks were made, and which failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


def _no_remark(_: Exception) -> str:
    return ""


@dataclass(slots=True)
class Checks:
    """Makes checks one after another, also those behind one that failed."""

    remark: Callable[[Exception], str] = _no_remark
    """What to add where a check ends with another error than `AssertionError`."""
    names: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])

    def make(self, name: str, check: Callable[[], T]) -> T | None:
        """What the check returns, or None where it fails."""
        self.names.append(name)
        try:
            return check()
        except AssertionError as error:
            self.broken.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001 - what is on trial may be anybody's code: this is the edge to ours
            self.broken.append(f"{name}: it raised {error!r}{self.remark(error)}.")
        return None

    def judge(self) -> None:
        """Raise `AssertionError` with a sentence for each check that failed."""
        if self.broken:
            counted = f"{len(self.broken)} of {len(self.names)} checks failed"
            raise AssertionError("\n- ".join([f"{counted}:", *self.broken]))
