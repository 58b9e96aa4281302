"""Questions to a host about what it has: within its limit, asked again where that helps, and not for ever."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from finetune_kit._clock import clock
from finetune_kit._retry import Retries
from finetune_kit.backends import Backend
from finetune_kit.errors import AuthenticationError, BackendError, HostUnavailableError
from finetune_kit.following.pace import pace_of

T = TypeVar("T")

_PAGE = 100
_PATIENTLY = Retries(attempts=5, deadline_seconds=60.0)


class Inquiry:
    """Asks one host, until it answers to nothing any more: then what is left is not asked for."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._pace = pace_of(backend)
        self.silent: BackendError | None = None
        """Why nothing more is asked: no connection, or a key that is not taken."""

    def paged(self, items: int) -> None:
        """Count the requests that an answer with so many items has taken besides the one that was counted."""
        if (more := (items - 1) // _PAGE) > 0:
            self._pace.spent(more, clock().monotonic())

    def ask(self, question: Callable[[], T], *, requests: int = 1) -> T:
        """The answer, which takes so many requests; a `BackendError` where there is none."""
        if self.silent is not None:
            message = f"not asked for, since the host answers nothing any more: {self.silent}"
            raise HostUnavailableError(message, sent=False) from self.silent

        def in_turn() -> T:
            for _ in range(requests):
                while wait := self._pace.take(clock().monotonic()):
                    clock().sleep(wait)
            return question()

        try:
            return _PATIENTLY.call(in_turn)
        except BackendError as error:
            cut_off = isinstance(error, HostUnavailableError) and error.status is None
            if cut_off or isinstance(error, AuthenticationError):
                self.silent = error
            raise
