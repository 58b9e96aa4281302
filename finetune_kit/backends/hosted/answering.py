"""Many questions to a model at once: in threads, or as tasks of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from finetune_kit.backends.hosted.asking import Asker, AsyncAsker, JsonObject
from finetune_kit.backends.hosted.calls import Call, Habits
from finetune_kit.errors import RequestRefusedError

AT_ONCE = 8
"""As many questions are with the host at a time; the others wait their turn."""
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Answers:
    """Asks a host's models."""

    asker: Asker
    habits: Habits = field(default_factory=Habits)

    def all(self, calls: Sequence[Call], read: Callable[[Call, JsonObject], _Answer]) -> list[_Answer]:
        """What is read from each answer, in the order of the calls; the first error ends them all."""
        if len(calls) <= 1:
            return [read(call, self.one(call)) for call in calls]

        def answered(call: Call) -> _Answer:
            return read(call, self.one(call))

        with ThreadPoolExecutor(min(AT_ONCE, len(calls)), thread_name_prefix="finetune_kit-call") as threads:
            futures = [threads.submit(answered, call) for call in calls]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                future.cancel()
            for future in futures:
                if not future.cancelled() and (error := future.exception()) is not None:
                    raise error
            return [future.result() for future in futures]

    def one(self, call: Call) -> JsonObject:
        """The host's answer to one call."""
        while True:
            ask = call.ask(self.habits)
            try:
                return self.habits.retries(call.model).call(partial(self.asker.object, ask))
            except RequestRefusedError as error:
                self.habits.learn(call, error)
                if call.ask(self.habits) == ask:
                    raise


@dataclass(frozen=True, slots=True)
class AsyncAnswers:
    """The same without blocking the event loop."""

    asker: AsyncAsker
    habits: Habits

    async def all(self, calls: Sequence[Call], read: Callable[[Call, JsonObject], _Answer]) -> list[_Answer]:
        """What is read from each answer, in the order of the calls; the first error ends them all."""
        turn = asyncio.Semaphore(AT_ONCE)

        async def answered(call: Call) -> _Answer:
            async with turn:
                return read(call, await self.one(call))

        tasks = [asyncio.ensure_future(answered(call)) for call in calls]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()

    async def one(self, call: Call) -> JsonObject:
        """The host's answer to one call."""
        while True:
            ask = call.ask(self.habits)
            try:
                return await self.habits.retries(call.model).call_async(partial(self.asker.object, ask))
            except RequestRefusedError as error:
                self.habits.learn(call, error)
                if call.ask(self.habits) == ask:
                    raise
