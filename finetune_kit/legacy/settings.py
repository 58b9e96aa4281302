"""Which backend an old script means: by what it has assigned to the module, and by the environment."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from typing import TypedDict, cast

from finetune_kit._quoting import quoted, shown
from finetune_kit.backends import Backend, Event, HostedBackend, connect
from finetune_kit.backends.connect import ENVIRONMENT_VARIABLE, host_behind
from finetune_kit.hosts import HostProfile
from finetune_kit.legacy.error import InvalidAPIType, InvalidRequestError
from finetune_kit.legacy.keys import key_of, looks_real
from finetune_kit.legacy.replies import Reply
from finetune_kit.uploads import SpooledFile

OPENAI_ADDRESS = "https://api.openai.com/v1"
_FIRST_VERSION = "2024"
"""Of Azure's dated API: earlier ones have nothing of today's jobs."""
_API_TYPES = ("open_ai", "openai", "azure", "azure_ad")
_MOST_CONNECTIONS = 8

_log = logging.getLogger("finetune_kit")


class Transport(TypedDict, total=False):
    """What every old call takes besides; `request_id`, `request_timeout` and `headers` have no effect any more."""

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
    """Files that were asked for, by id: once they are processed, they do not change."""
    events: dict[str, dict[str, Event]] = field(default_factory=dict[str, dict[str, Event]])
    """Those of each job so far, by their ids: a script that polls is not to read all of them each time."""
    sent: dict[str, SpooledFile] = field(default_factory=dict[str, SpooledFile])
    """Files that this process has sent, by id: not all hosts give them back."""
    asked: dict[str, dict[str, object]] = field(default_factory=dict[str, dict[str, object]])
    """The settings that jobs of this process were asked for with, by id."""
    jobs: dict[str, str] = field(default_factory=dict[str, str])
    """Jobs by the ids of their result files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What a call and the module say together."""

    host: str
    """What FINETUNE_KIT_BACKEND names, or nothing."""
    api_key: str | None = field(repr=False)
    address: str | None
    """None where it is OpenAI's own."""
    api_type: str
    api_version: str | None
    organization: str | None


_made: dict[int, Connection] = {}
"""By a hash of the settings, so that no key stands here."""
_noted: set[str] = set()


def assigned(name: str) -> object:
    """What a script has assigned to the module, such as `openai.api_key`; it has no other place to put it."""
    return getattr(sys.modules["finetune_kit.legacy"], name)


def connection(call: Transport) -> Connection:
    """The backend that a call goes to; the same one for the same settings, so that it keeps its models in memory."""
    backend = assigned("backend")
    if backend is not None:
        if not isinstance(getattr(backend, "profile", None), HostProfile):
            raise InvalidRequestError(
                f"backend={shown(backend)} is no backend. Assign one, such as finetune_kit.LocalBackend().",
                param="backend",
            )
        return _kept(id(backend), cast("Backend", backend))
    wanted = _wanted(call)
    settings = hash((os.getpid(), wanted, tuple(sorted(os.environ.items()))))
    return _made.get(settings) or _kept(settings, _found(wanted))


def _kept(settings: int, backend: Backend) -> Connection:
    found = _made.get(settings)
    if found is None or found.backend is not backend:
        if len(_made) >= _MOST_CONNECTIONS:
            _made.clear()
        found = _made[settings] = Connection(backend)
    return found


def _wanted(call: Transport) -> _Wanted:
    address = call.get("api_base") or assigned("api_base") or OPENAI_ADDRESS
    if not isinstance(address, str):
        raise InvalidRequestError(f"api_base={shown(address)}: give an address, as text.", param="api_base")
    own = address.rstrip("/") != OPENAI_ADDRESS
    version = call.get("api_version") or assigned("api_version")
    organization = call.get("organization") or assigned("organization")
    return _Wanted(
        host=os.environ.get(ENVIRONMENT_VARIABLE, "").strip(),
        api_key=key_of(call.get("api_key"), assigned("api_key_path"), assigned("api_key")),
        address=address if own else None,
        api_type=str(call.get("api_type") or assigned("api_type") or "open_ai").lower(),
        api_version=version if isinstance(version, str) else None,
        organization=organization if isinstance(organization, str) else None,
    )


def _found(wanted: _Wanted) -> Backend:
    key = wanted.api_key
    if wanted.host == "local":
        if key:
            note(f"{ENVIRONMENT_VARIABLE} is 'local': the API key that was assigned is not used.")
        return connect()
    if key is None or (wanted.address is None and key == os.environ.get("OPENAI_API_KEY", "").strip()):
        return connect()
    if wanted.address is None and not looks_real(key):
        note("What was assigned as api_key only stands for a key, and is not used.")
        return connect()
    backend = HostedBackend(
        api_key=key,
        base_url=wanted.address,
        host=_host(wanted),
        api_version=_version(wanted),
        organization=wanted.organization,
    )
    note(
        f"An API key was assigned, so jobs and models are those of {backend!r}, and are billed there. Set "
        f"{ENVIRONMENT_VARIABLE}=local to stay on this machine."
    )
    return backend


def _host(wanted: _Wanted) -> str:
    if wanted.api_type in ("azure_ad", "azuread"):
        raise InvalidAPIType(
            "api_type='azure_ad' cannot be carried: its token ends within the hour. Assign "
            "openai.backend = HostedBackend(client=AzureOpenAI(azure_ad_token_provider=...)) instead."
        )
    if wanted.api_type not in _API_TYPES:
        raise InvalidAPIType(f"api_type={quoted(wanted.api_type)} is not known. Assign one of {', '.join(_API_TYPES)}.")
    if wanted.host:
        return wanted.host
    return "azure" if wanted.api_type == "azure" else host_behind(wanted.address or "")


def _version(wanted: _Wanted) -> str | None:
    """Azure's `api-version`, where it is one of today's; else its undated API is spoken to."""
    version = wanted.api_version
    if version is None or _host(wanted) != "azure" or version >= _FIRST_VERSION:
        return version
    note(f"api_version={version!r} is of an API that has ended; Azure's undated one is used.")
    return None


def forget() -> None:
    """Let go of all backends, and of what the log was told, as in a new process; connections are closed."""
    for one in _made.values():
        if isinstance(one.backend, HostedBackend):
            one.backend.close()
    _made.clear()
    _noted.clear()


def note(text: str) -> None:
    """Tell the log, once."""
    if text not in _noted:
        _noted.add(text)
        _log.warning("%s", text)
