"""One thread for each model in memory: it answers all who ask, from any thread, in one batch.

Between two tokens, those who have finished or gone away leave the batch, and those who wait join it: one request of
each call in turn, so that a call of thousands does not keep a short one waiting. A long prompt is read in pieces, and
after each of them those who are being answered get a token. Other work on the model (`run`) takes its turn too, so that
nothing else computes beside it.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from finetune_kit.backends.local.batch import Batch
from finetune_kit.backends.local.choosing import choose, told
from finetune_kit.backends.local.requests import Call, Request
from finetune_kit.backends.local.writing import Alphabet
from finetune_kit.errors import EngineError, FinetuneKitError

_Result = TypeVar("_Result")

_IDLE_SECONDS = 5.0
"""The thread ends when nothing was asked for so long."""
_AHEAD = 64
"""So many requests are looked at for those that may join."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Scheduler:
    """Answers calls with one model."""

    batch: Batch
    alphabet: Alphabet
    end: Callable[[], int]
    """The token that ends every text."""
    idle_seconds: float = _IDLE_SECONDS
    _calls: deque[Call] = field(init=False)
    _errands: deque[tuple[Future[Any], Callable[[], Any]]] = field(init=False)
    _active: list[tuple[Call, Request]] = field(init=False)
    _next: list[int] = field(init=False)
    _changed: threading.Condition = field(init=False)
    _thread: threading.Thread | None = field(init=False)
    _closed: bool = field(init=False)
    _step_failed: bool = field(default=False)

    def __post_init__(self) -> None:
        self.forget()
        _ALL.add(self)

    def forget(self) -> None:
        """Be as new: in a child process the thread is gone, and whoever asked has stayed in the parent."""
        self._calls, self._errands, self._active, self._next = deque(), deque(), [], []
        self._changed, self._thread, self._closed = threading.Condition(), None, False
        self.batch.clear()

    def submit(self, call: Call) -> Call:
        """Begin to answer; returns at once."""
        if not call.requests:
            call.finished.set()
            if call.on_end is not None:
                call.on_end()
            return call
        with self._changed:
            self._calls.append(call)
            self._wake()
        return call

    def wait(self, call: Call) -> Call:
        """Answer a call; whoever is interrupted here takes it back."""
        try:
            self.submit(call).finished.wait()
        except BaseException:
            call.cancel()
            raise
        return call

    def run(self, work: Callable[[], _Result]) -> _Result:
        """Let the thread do other work with the model between two tokens."""
        future: Future[_Result] = Future()
        with self._changed:
            self._errands.append((future, work))
            self._wake()
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def retire(self) -> None:
        """Keep no thread, and with it the model in memory, longer than somebody waits for an answer."""
        with self._changed:
            self.idle_seconds = 0.0
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more, and end the thread after the token in hand."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _wake(self) -> None:
        if self._closed:
            raise EngineError("the engine is shutting down with this process; nothing more can be asked of it.")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="finetune_kit-engine", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        import torch

        with torch.inference_mode():
            while self._has_work():
                try:
                    self._turn()
                except Exception as error:  # noqa: BLE001 - the outermost edge: whoever waits must hear of it
                    self._fail_all(error)
        if self._closed:
            self._fail_all(EngineError("the process ended before the model had answered."))

    def _has_work(self) -> bool:
        """Wait for work; False when the thread is to end."""
        with self._changed:
            while not (self._closed or self._calls or self._errands or self._active):
                if not self._changed.wait(self.idle_seconds) and not (self._calls or self._errands):
                    break
            if self._closed or not (self._calls or self._errands or self._active):
                self._thread = None
                return False
            return True

    def _turn(self) -> None:
        with self._changed:
            errand = self._errands.popleft() if self._errands else None
        if errand is not None:
            _do(*errand)
        self._leave()
        self._join()
        if self._active:
            self._step()

    def _step(self) -> None:
        """A token for each of those who are being answered."""
        self._step_failed = True
        logits = self.batch.step(self._next)
        self._step_failed = False
        self._take(logits, range(len(self._active)))

    def _meanwhile(self) -> None:
        """The same between two pieces of a prompt; those who are over by then leave when it is read."""
        if not all(request.over for _, request in self._active):
            self._step()

    def _leave(self) -> None:
        """Free the places of those who are over."""
        going = [place for place, (_, request) in enumerate(self._active) if not request.over]
        if len(going) == len(self._active):
            return
        over = [pair for pair in self._active if pair[1].over]
        order = self.batch.keep(going)
        self._active = [self._active[place] for place in order]
        self._next = [self._next[place] for place in order]
        for call, request in over:
            call.one_is_over(request)

    def _join(self) -> None:
        """Let those who wait join the batch as far as there is room."""
        with self._changed:
            self._skip_cancelled()
            waiting = self._first_waiting()
            room = self.batch.room([request.prompt for _, request in waiting])
            joining = waiting[:room]
            for call, _ in joining:
                call.waiting += 1
            self._calls = deque(call for call in self._calls if call.waiting < len(call.requests))
            if joining and self._calls:
                self._calls.rotate(-1)
        if not joining:
            return
        first = len(self._active)
        try:
            logits = self.batch.add(
                [request.prompt for _, request in joining], self._meanwhile if self._active else None
            )
        except Exception as error:
            for call, request in joining:  # those who were being answered go on
                request.error = _ours(error)
                call.one_is_over(request)
            if self._step_failed:
                self._step_failed = False
                raise
            return
        self._active += joining
        self._next += [0] * len(joining)
        self._take(logits, range(first, len(self._active)))
        self._leave()

    def _skip_cancelled(self) -> None:
        for call in self._calls:
            while call.waiting < len(call.requests) and call.requests[call.waiting].over:
                call.waiting += 1
                call.one_is_over(call.requests[call.waiting - 1])

    def _first_waiting(self) -> list[tuple[Call, Request]]:
        """One request of each call in turn."""
        found: list[tuple[Call, Request]] = []
        places = {id(call): call.waiting for call in self._calls}
        alive = list(self._calls)
        while alive and len(found) < _AHEAD:
            for call in list(alive):
                place = places[id(call)]
                if place >= len(call.requests):
                    alive.remove(call)
                    continue
                found.append((call, call.requests[place]))
                places[id(call)] = place + 1
        return found

    def _take(self, logits: Any, places: range) -> None:
        """Choose the next token of rows and hand it to their requests."""
        requests = [self._active[place][1] for place in places]
        chances = [request.chances for request in requests]
        chosen = choose(logits, chances)
        logprobs = told(logits, chosen, chances, self.alphabet)
        end = self.end()
        for line, (place, request) in enumerate(zip(places, requests, strict=True)):
            self._next[place] = chosen[line]
            if request.over:
                continue
            try:
                request.take(chosen[line], end, logprobs.get(line))
            except Exception as error:  # noqa: BLE001 - its neighbours go on
                request.error = _ours(error)

    def _fail_all(self, error: Exception) -> None:
        with self._changed:
            over = [*self._active, *((call, one) for call in self._calls for one in call.requests[call.waiting :])]
            errands, self._errands = list(self._errands), deque()
            self._calls.clear()
            self._active, self._next = [], []
        self.batch.clear()
        for call, request in over:
            if not request.over:
                request.error = _ours(error)
            call.one_is_over(request)
        for future, _ in errands:
            future.set_exception(_ours(error))


def _do(future: Future[Any], work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001 - it belongs to the one who asked
        future.set_exception(_ours(error))


def _ours(error: Exception) -> Exception:
    """An error of this package, with what torch said as its cause."""
    if isinstance(error, FinetuneKitError):
        return error
    told = EngineError(f"the model could not answer: {str(error).partition(chr(10))[0] or type(error).__name__}")
    told.__cause__ = error
    return told


_ALL: weakref.WeakSet[Scheduler] = weakref.WeakSet()


def _close_all() -> None:
    for scheduler in list(_ALL):
        scheduler.close()


def _forget_all() -> None:
    for scheduler in list(_ALL):
        scheduler.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
