"""Which backend a call without one goes to."""

from __future__ import annotations

import os

from finetune_kit.backends.local import LocalBackend
from finetune_kit.backends.protocol import Backend
from finetune_kit.errors import ParameterError

ENVIRONMENT_VARIABLE = "FINETUNE_KIT_BACKEND"


def connect(backend: Backend | None = None) -> Backend:
    """`backend` if given, else what FINETUNE_KIT_BACKEND names, else the engine on this machine.

    This version has one backend, `local`; an API key in the environment is not used, and nothing leaves the machine.
    """
    if backend is not None:
        return backend
    name = os.environ.get(ENVIRONMENT_VARIABLE) or "local"
    if name != "local":
        raise ParameterError(
            f"{ENVIRONMENT_VARIABLE} is {name!r}; this version knows 'local'. Unset the variable, or pass backend=.",
            parameter=ENVIRONMENT_VARIABLE,
        )
    return LocalBackend()
