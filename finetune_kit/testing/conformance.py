"""`check_backend`: whether a backend keeps every promise of the protocol."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from finetune_kit.backends import Backend
from finetune_kit.errors import FinetuneKitError
from finetune_kit.testing import backend_promises, model_promises
from finetune_kit.testing.checks import Checks
from finetune_kit.testing.trial import Trial


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
    checks = Checks(_foreign)
    for check in backend_promises.CHECKS:
        checks.make(check.__name__, partial(check, trial))
    run = checks.make("a_job_succeeds", trial.succeed)
    if run is not None:  # else all that follows would only repeat why not
        for check_of_model in model_promises.CHECKS:
            checks.make(check_of_model.__name__, partial(check_of_model, trial, run))
    checks.judge()
    return tuple(checks.names)


def _foreign(error: Exception) -> str:
    return "" if isinstance(error, FinetuneKitError) else ", which is none of finetune_kit's errors"
