"""Which backend a call without one goes to."""

from __future__ import annotations

import logging
import os
import threading
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

from finetune_kit.backends.hosted import HostedBackend
from finetune_kit.backends.local import LocalBackend
from finetune_kit.backends.protocol import Backend
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import host_profiles

ENVIRONMENT_VARIABLE = "FINETUNE_KIT_BACKEND"
_KEY, _ADDRESS = "OPENAI_API_KEY", "OPENAI_BASE_URL"
_AZURE_KEY, _AZURE_ADDRESS = "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT"

_log = logging.getLogger("finetune_kit")
_told: set[str] = set()
_made: WeakValueDictionary[int, HostedBackend] = WeakValueDictionary()
_lock = threading.Lock()


def connect(backend: Backend | None = None) -> Backend:
    """`backend` if given, else what the environment names, else the engine on this machine.

    FINETUNE_KIT_BACKEND is `local` or a host, such as `nebius`, whose key stands in a variable of its own. Without it,
    OPENAI_API_KEY means OpenAI (or the host at OPENAI_BASE_URL), and AZURE_OPENAI_API_KEY with AZURE_OPENAI_ENDPOINT
    means Azure: training costs money there, so that a line in the log says so.
    """
    if backend is not None:
        return backend
    found = usual_backend()
    implied = _implied()
    if isinstance(found, HostedBackend) and implied is not None and not os.environ.get(ENVIRONMENT_VARIABLE):
        where = repr(found)
        if where not in _told:
            _told.add(where)
            _log.warning(
                "%s is set, so jobs and models are those of %s and are billed there. Set %s=local to stay on this "
                "machine, or pass backend=.",
                implied,
                where,
                ENVIRONMENT_VARIABLE,
            )
    return found


def usual_backend() -> Backend:
    """What `connect` finds, without a word about it."""
    name = os.environ.get(ENVIRONMENT_VARIABLE, "").strip()
    if name == "local":
        return LocalBackend()
    if name:
        return _shared(_named(name))
    implied = _implied()
    if implied is None:
        return LocalBackend()
    return _shared("azure" if implied == _AZURE_KEY else host_behind(os.environ.get(_ADDRESS, "")))


def _named(name: str) -> str:
    profiles = host_profiles()
    known = ", ".join(("local", *(one for one, profile in profiles.items() if profile.runs_jobs)))
    if name not in profiles:
        raise ParameterError(
            f"{ENVIRONMENT_VARIABLE} is {name!r}, which is not known; there are {known}. Unset it, or pass backend=.",
            parameter=ENVIRONMENT_VARIABLE,
        )
    if not profiles[name].runs_jobs:
        raise ParameterError(
            f"{ENVIRONMENT_VARIABLE} is {name!r}, a host with an API of its own on which nothing can be started from "
            f"here; there are {known}. Its files are written by Dataset.write(..., host={name!r}).",
            parameter=ENVIRONMENT_VARIABLE,
        )
    return name


def _implied() -> str | None:
    """The variable that means a host, without naming it."""
    if os.environ.get(_KEY, "").strip():
        return _KEY
    azure = os.environ.get(_AZURE_KEY, "").strip() and os.environ.get(_AZURE_ADDRESS, "").strip()
    return _AZURE_KEY if azure else None


def host_behind(address: str) -> str:
    """The host at an address; a proxy that nobody knows is taken for OpenAI's."""
    server = urlsplit(address).hostname or ""
    if server.endswith(".openai.azure.com"):
        return "azure"
    for name, profile in host_profiles().items():
        if profile.runs_jobs and server and server == urlsplit(profile.base_url or "").hostname:
            return name
    return "openai"


def _shared(host: str) -> HostedBackend:
    """One object for all who ask in the same environment: its connections are shared, and so is its pace."""
    asked = hash((os.getpid(), host, tuple(sorted(os.environ.items()))))
    with _lock:
        made = _made.get(asked)
        if made is None:
            made = _made[asked] = _at_address(host)
        return made


def _at_address(host: str) -> HostedBackend:
    address = os.environ.get(_ADDRESS) or None
    if host == "openai" or os.environ.get(_AZURE_ADDRESS):
        return HostedBackend(host=host)
    if not os.environ.get(ENVIRONMENT_VARIABLE):  # known by its address: the key is that of the address
        return HostedBackend(api_key=os.environ.get(_KEY), base_url=address, host=host)
    return HostedBackend(base_url=address if host_profiles()[host].base_url is None else None, host=host)
