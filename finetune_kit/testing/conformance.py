"""`check_backend`: whether a backend keeps every promise of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from finetune_kit.backends import Backend
from finetune_kit.errors import FinetuneKitError
from finetune_kit.testing import backend_promises, model_promises
from finetune_kit.testing.trial import Trial

T = TypeVar("T")


def check_backend(
    make: Callable[[], Backend], *, model: str | None = None, patience_seconds: float = 60.0
) -> tuple[str, ...]:
    """Try the backends that `make` gives, and return the names of the checks that were made.

    `make` is called twice, and must give two ways to one place, such as the same account or home folder. Four small
    jobs are started there on the base model `model`, by default the first of the profile; no wait for a job takes more
    than `patience_seconds`. Raises `AssertionError` with a sentence for each broken promise.

    >>> from finetune_kit.testing import MemoryBackend
    >>> memory = MemoryBackend()
    >>> "cancelling_ends_a_job" in check_backend(lambda: memory)
    True
    """
    trial = Trial(make, model, patience_seconds)
    checks = _Checks()
    for check in backend_promises.CHECKS:
        checks.make(check.__name__, partial(check, trial))
    run = checks.make("a_job_succeeds", trial.succeed)
    if run is not None:  # else all that follows would only repeat why not
        for check_of_model in model_promises.CHECKS:
            checks.make(check_of_model.__name__, partial(check_of_model, trial, run))
    checks.judge()
    return tuple(checks.names)


@dataclass(slots=True)
class _Checks:
    names: list[str] = field(default_factory=list[str])
    broken: list[str] = field(default_factory=list[str])

    def make(self, name: str, check: Callable[[], T]) -> T | None:
        """What the check returns, or None where it fails."""
        self.names.append(name)
        try:
            return check()
        except AssertionError as error:
            self.broken.append(f"{name}: {error}")
        except Exception as error:  # noqa: BLE001 - a backend may be anybody's code: this is the edge between it and ours
            foreign = "" if isinstance(error, FinetuneKitError) else ", which is none of finetune_kit's errors"
            self.broken.append(f"{name}: it raised {error!r}{foreign}.")
        return None

    def judge(self) -> None:
        if self.broken:
            counted = f"{len(self.broken)} of {len(self.names)} checks failed"
            raise AssertionError("\n- ".join([f"{counted}:", *self.broken]))
