"""What blocks, read from an event loop: each step in a thread, one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextvars import copy_context
from typing import TypeVar, cast

T = TypeVar("T")
_END = object()


async def in_thread(values: Iterator[T]) -> AsyncGenerator[T]:
    """The values of an iterator that may take its time for each; closed early, it closes the iterator.

    Whoever is cancelled while a value is waited for goes on at once: the iterator is closed as soon as it can be.
    """
    turn, context, loop = threading.Lock(), copy_context(), asyncio.get_running_loop()
    close = getattr(values, "close", lambda: None)

    def step() -> object:
        with turn:
            return context.run(next, values, _END)

    def end() -> None:
        with turn:  # a generator cannot be closed while it runs
            context.run(close)

    waiting = False
    try:
        while True:
            waiting = True
            found = await loop.run_in_executor(None, step)
            waiting = False
            if found is _END:
                return
            yield cast("T", found)
    finally:
        ended = loop.run_in_executor(None, end)
        if not waiting:
            await ended
