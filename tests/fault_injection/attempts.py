"""One attempt of the script: in this process, where a death is an exception, or in one that the system kills."""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from finetune_kit import remembering
from finetune_kit._clock import using
from finetune_kit.errors import FinetuneKitError, ShutdownWarning
from finetune_kit.following import OnNotice
from tests.fault_injection import script
from tests.fault_injection.kills import Death, Killed, mortal
from tests.fault_injection.plans import Place

SPEED = 600.0
"""Of the clocks, where two processes have one each."""
CHILD_SECONDS = 60.0


@dataclass(frozen=True)
class Ended:
    """How an attempt ended."""

    how: str
    """`done`, `killed`, or the name of an error."""
    said: str
    """Everything that a person could have read."""
    outcome: script.Outcome | None = None


@dataclass(frozen=True)
class Caller:
    """What the script is told."""

    base_url: str
    key: str
    host: str
    model: str
    folder: Path
    lists_are_sound: bool
    """Whether the host's lists are in order and repeat nothing."""

    def run(self, on_notice: OnNotice | None = None) -> script.Outcome:
        return script.run(
            base_url=self.base_url,
            key=self.key,
            host=self.host,
            model=self.model,
            seen=self.folder / "seen",
            by_cursor=self.lists_are_sound,
            on_notice=on_notice,
        )


def in_this_process(caller: Caller, place: Place | None, on_notice: OnNotice) -> Ended:
    """A death leaves nothing behind that a killed process would have written."""
    death = Death(at=None if place is None else place.at, by_line=place is not None and place.by_line)
    with _overheard() as said:
        how, outcome = _attempt(caller, death, on_notice)
        gc.collect()
        if death.came:
            how, outcome = "killed", None
            remembering._told_ends.clear()
        elif how == "done":  # else an error that nobody caught has ended it
            remembering.settle_ends()
        else:
            remembering._told_ends.clear()
    return Ended(how, said.getvalue(), outcome)


def _attempt(caller: Caller, death: Death, on_notice: OnNotice) -> tuple[str, script.Outcome | None]:
    try:
        with mortal(death):
            return "done", caller.run(on_notice)
    except Killed:
        return "killed", None
    except Exception as error:  # noqa: BLE001 - whatever it is, the run's checks have to see it
        traceback.print_exc()
        return _name(error), None


def in_a_process_of_its_own(caller: Caller, place: Place | None, *, kill_after_seconds: float | None) -> Ended:
    """Killed by the system, at a place or after some time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fault_injection.attempts"])
    result, said = caller.folder / "result", caller.folder / "said"
    result.unlink(missing_ok=True)
    process = context.Process(target=_child, args=(caller, place, os.environ["FINETUNE_KIT_HOME"]))
    process.start()
    process.join(CHILD_SECONDS if kill_after_seconds is None else kill_after_seconds)
    overdue = process.exitcode is None and kill_after_seconds is None
    if process.exitcode is None:
        process.kill()
        process.join()
    text = said.read_text(errors="backslashreplace") if said.exists() else ""
    outcome = script.read(result)
    if overdue:
        return Ended("hangs", text)
    if process.exitcode and process.exitcode < 0:
        return Ended("killed", text)
    return Ended("done" if outcome is not None else text.rstrip().rpartition("\n")[2], text, outcome)


def _child(caller: Caller, place: Place | None, home: str) -> None:
    os.environ["FINETUNE_KIT_HOME"] = home
    out = os.open(caller.folder / "said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    for other in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "asyncio"):
        logging.getLogger(other).setLevel(logging.WARNING)
    death = Death(at=None if place is None else place.at, by_line=place is not None and place.by_line, by_signal=True)
    with pytest.MonkeyPatch.context() as patch, using(script.fast(SPEED)):
        script.impatient(patch)
        try:
            with mortal(death):
                outcome = caller.run()
        except Exception as error:  # noqa: BLE001 - as above
            traceback.print_exc()
            sys.stderr.write(f"\n{_name(error)}")
        else:
            script.written(outcome, caller.folder / "result")
            remembering.settle_ends()  # a forked process ends without what is done at an exit
    sys.stderr.flush()


@contextlib.contextmanager
def _overheard() -> Generator[io.StringIO]:
    """What is printed, logged and warned of."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    log = logging.getLogger("finetune_kit")
    before = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    hook = sys.unraisablehook
    sys.unraisablehook = lambda unraisable: None if isinstance(unraisable.exc_value, Killed) else hook(unraisable)
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # of what a death has left open
            warnings.simplefilter("ignore", ShutdownWarning)
            yield said
    finally:
        sys.unraisablehook = hook
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]


def _name(error: Exception) -> str:
    return type(error).__name__ if isinstance(error, FinetuneKitError) else f"foreign {type(error).__name__}"
