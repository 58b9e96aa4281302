"""The worker's second thread: tells that the worker lives, and meets wishes that a long step would keep waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Protocol

from finetune_kit.backends.local.store import Store
from finetune_kit.errors import StorageError

GRACE_SECONDS = 0.3
"""So long a wish waits for the end of a step, where stopping costs nothing."""
BEAT_SECONDS = 5.0
_LOOK_SECONDS = 0.2
_REST_SECONDS = 0.1


class Run(Protocol):
    """What a wish stops in the middle of a step."""

    def at_rest(self, *, timeout_seconds: float) -> AbstractContextManager[bool]:
        """Nothing of the state changes meanwhile; false where that could not be had in time."""
        ...

    def save_state(self) -> None:
        """Write what the run needs to go on."""
        ...

    def forget_state(self) -> None:
        """Delete what was written."""
        ...


class Guard:
    """Looks after one job in hand; `leave` ends the process, and must not return."""

    def __init__(self, store: Store, job_id: str, *, leave: Callable[[], None]) -> None:
        self.run: Run | None = None
        """What there is to save, once training has begun."""
        self._store, self._job_id, self._leave = store, job_id, leave
        self._over = threading.Event()
        self._beaten = self._wished = 0.0

    @contextmanager
    def watching(self) -> Generator[None]:
        """While the block runs; where it ends in the moment in which the process is being left, it does not return."""
        thread = threading.Thread(target=self._watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            with suppress(StorageError):  # a full disk, or one that is busy: the job itself will tell
                self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._beaten >= BEAT_SECONDS:
            self._store.beat()
            self._beaten = now
        wish = self._store.wish(self._job_id)
        if not wish:
            self._wished = 0.0
        elif not self._wished:
            self._wished = now
        elif now - self._wished >= GRACE_SECONDS:
            self._stop(wish)

    def _stop(self, wish: str) -> None:
        run = self.run
        with run.at_rest(timeout_seconds=_REST_SECONDS) if run is not None else nullcontext(False) as at_rest:
            if run is not None and at_rest and wish == "pause":
                with suppress(OSError):  # the state before is kept
                    run.save_state()
            status = self._store.obey(self._job_id, go_on=True)
            if status == "cancelled" and run is not None:
                run.forget_state()
            if status in ("cancelled", "paused"):
                self._leave()
