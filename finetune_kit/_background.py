"""Work on blocks of bytes in a thread of its own, in the order in which they come, while the next one is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

_WAITING = 4


class Background:
    """Worth its while for work that lets other threads run meanwhile, such as writing and hashing large blocks."""

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: deque[Future[object]] = deque()

    def put(self, block: bytes) -> None:
        """Have a block worked on after the others; waits where many are; an error of an earlier one is raised here."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="finetune_kit")
        if len(self._waiting) == _WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._work, block))

    def finish(self) -> None:
        """Wait for what has been put; an error of it is raised here. Nothing can be put afterwards."""
        try:
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            if self._pool is not None:
                self._pool.shutdown(cancel_futures=True)
