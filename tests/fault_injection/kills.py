"""Deaths at an exact place: the n-th line or call of the code that is on trial."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TypeAlias

import finetune_kit

PACKAGE = Path(finetune_kit.__file__).parent
ON_TRIAL = tuple(
    str(PACKAGE / part)
    for part in (
        *("_clock.py", "_database.py", "_home.py", "_retry.py", "backends/hosted", "following", "job.py"),
        *("launching", "ledger", "remembering.py", "result_files.py", "results.py", "training.py", "uploads.py"),
    )
)

Trace: TypeAlias = Callable[[FrameType, str, object], "Trace | None"]


class Killed(BaseException):
    """The process is dead; nothing in the package catches it."""


class Death:
    """Comes at a place; `steps` says how many places there were if it never came."""

    def __init__(self, *, at: int | None, by_line: bool, by_signal: bool = False) -> None:
        self._at, self._by_line, self._by_signal = at, by_line, by_signal
        self._files: dict[str, bool] = {}
        self.steps = 0
        self.came = False

    def _watched(self, filename: str) -> bool:
        known = self._files.get(filename)
        if known is None:
            known = self._files[filename] = filename.startswith(ON_TRIAL)
        return known

    def _count(self) -> None:
        self.steps += 1
        if self.steps == self._at:
            if self._by_signal:
                os.kill(os.getpid(), signal.SIGKILL)
            self.came = True
            raise Killed  # which also ends the tracing

    def entered(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        if not self._watched(frame.f_code.co_filename):
            return None
        self._count()
        return self.passed if self._by_line else None

    def passed(self, frame: FrameType, event: str, argument: object) -> Trace | None:
        if event == "line":
            self._count()
        return self.passed


@contextmanager
def mortal(death: Death) -> Generator[None]:
    """The code in here dies so, in this thread."""
    before = sys.gettrace()
    sys.settrace(death.entered)
    try:
        yield
    finally:
        sys.settrace(before)
