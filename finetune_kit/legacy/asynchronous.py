"""The calls that began with an `a` in 2023: the same without blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeVar

from finetune_kit._warning import asked_from_here

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(call: Callable[P, T]) -> Callable[P, Coroutine[Any, Any, T]]:
    """`call` as a coroutine function."""

    @wraps(call)
    async def awaited(*args: P.args, **kwargs: P.kwargs) -> T:
        with asked_from_here():
            return await asyncio.to_thread(call, *args, **kwargs)

    return awaited


class Stream(AsyncIterator[T], Generic[T]):
    """What comes one by one, for `async for x in call(...)` and, as scripts had to write it, `in await call(...)`."""

    def __init__(self, entries: AsyncIterator[T]) -> None:
        self._entries = entries

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._entries)

    def __await__(self) -> Generator[Any, None, Stream[T]]:
        yield from ()
        return self
