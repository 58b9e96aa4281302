"""Which backend an old script means: by what it has assigned to the module, and by the environment."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from typing import TypedDict, cast

from finetune_kit._home import ENVIRONMENT_VARIABLE as HOME_VARIABLE
from finetune_kit.backends import Backend, connect
from finetune_kit.backends.connect import ENVIRONMENT_VARIABLE
from finetune_kit.legacy.error import InvalidRequestError
from finetune_kit.legacy.replies import Reply

_log = logging.getLogger("finetune_kit")


class Transport(TypedDict, total=False):
    """What every old call takes besides."""

    api_key: str | None
    api_base: str | None
    api_type: str | None
    api_version: str | None
    organization: str | None
    request_id: str | None
    request_timeout: object
    headers: object


@dataclass(slots=True)
class Connection:
    """A backend, and what is remembered of it between calls."""

    backend: Backend
    files: dict[str, Reply] = field(default_factory=dict[str, Reply])
    """Files that were asked for, by id: they do not change."""


_made: dict[tuple[object, ...], Connection] = {}
_noted: set[str] = set()


def assigned(name: str) -> object:
    """What a script has assigned to the module, such as `openai.api_key`; it has no other place to put it."""
    return getattr(sys.modules["finetune_kit.legacy"], name)


def connection(call: Transport) -> Connection:
    """The backend that a call goes to; the same one for the same settings, so that it keeps its models in memory."""
    backend = assigned("backend")
    if isinstance(backend, str):
        raise InvalidRequestError(
            f"backend={backend!r} is text. Assign a backend, such as finetune_kit.LocalBackend().", param="backend"
        )
    if backend is not None:
        found = _made.get((id(backend),))
        if found is None or found.backend is not backend:
            found = _made[id(backend),] = Connection(cast("Backend", backend))
        return found
    key = call.get("api_key") or assigned("api_key")
    if key and not os.environ.get(ENVIRONMENT_VARIABLE):
        note("The API key that was assigned is not used: this version trains and answers on this machine.")
    settings = (os.environ.get(ENVIRONMENT_VARIABLE), os.environ.get(HOME_VARIABLE))
    if settings not in _made:
        _made[settings] = Connection(connect())
    return _made[settings]


def note(text: str) -> None:
    """Tell the log, once."""
    if text not in _noted:
        _noted.add(text)
        _log.warning("%s", text)
