"""Host profiles from the package's data files, with the user's own file laid over them."""

from __future__ import annotations

import os
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import orjson
from pydantic import ValidationError

from finetune_kit.errors import FormatError, ParameterError, SourceNotFoundError
from finetune_kit.hosts.profile import FileRules, HostProfile

ENVIRONMENT_VARIABLE = "FINETUNE_KIT_HOSTS"

SHIPPED = ("openai", "azure", "nebius", "crusoe", "together", "local")
"""In the order in which a model's name is looked up."""
_PACKAGE = "finetune_kit.hosts"
_FAULTS_SHOWN = 5


def host_profile(name: str, *, hosts: str | os.PathLike[str] | None = None) -> HostProfile:
    """The profile of the host `name`; `hosts` is a file of the user's own, else what FINETUNE_KIT_HOSTS names."""
    profiles = host_profiles(hosts)
    if name not in profiles:
        raise ParameterError(f"host={name!r} is not known; there are {', '.join(profiles)}.", parameter="host")
    return profiles[name]


def file_rules(name: str) -> FileRules:
    """What the host `name` wants of files; hosts are known here before jobs can run there."""
    return host_profile(name)


def host_profiles(hosts: str | os.PathLike[str] | None = None) -> dict[str, HostProfile]:
    """All profiles by name.

    The user's file is JSON: `{"openai": {"models": {"gpt-4.1": {"prices": {"training": 20}}}}}`. What it says replaces
    what the package ships, key by key; a host of another name must be told in full.
    """
    chosen = hosts if hosts is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    if chosen is None:
        return {name: _shipped(name) for name in SHIPPED}
    path = Path(chosen).expanduser()
    try:
        state = path.stat()
    except OSError as error:
        where = "hosts=" if hosts is not None else f"the environment variable {ENVIRONMENT_VARIABLE}"
        raise SourceNotFoundError(
            f"{path}: the file of host profiles named by {where} cannot be read: {error.strerror}.", path=path
        ) from error
    return dict(_overlaid(path, state.st_mtime_ns, state.st_size))


@cache
def _raw(name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", orjson.loads((files(_PACKAGE) / f"{name}.json").read_bytes()))


@cache
def _shipped(name: str) -> HostProfile:
    return HostProfile.model_validate(_raw(name))


@lru_cache(maxsize=8)
def _overlaid(path: Path, _changed: int, _size: int) -> dict[str, HostProfile]:
    profiles = {name: _shipped(name) for name in SHIPPED}
    for name, told in _read(path).items():
        base = _raw(name) if name in SHIPPED else {"name": name}
        try:
            profiles[name] = HostProfile.model_validate(_merged(base, told))
        except ValidationError as error:
            raise FormatError(f"{path}: {_faults(name, error)}", path=path) from error
        if profiles[name].name != name:
            raise FormatError(
                f"{path}: the host {name!r} calls itself {profiles[name].name!r}. Leave `name` out.", path=path
            )
    return profiles


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        read: object = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise SourceNotFoundError(f"{path}: the file of host profiles cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise FormatError(f"{path}: the file of host profiles is not JSON: {error}.", path=path) from error
    if not isinstance(read, dict):
        raise FormatError(
            f'{path}: a file of host profiles is one object, a host by its name: {{"openai": {{…}}}}.', path=path
        )
    told = cast("dict[str, Any]", read)
    for name, value in told.items():
        if not isinstance(value, dict):
            raise FormatError(f"{path}: {name} is not an object with what is known of this host.", path=path)
    return told


def _merged(base: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Objects key by key, everything else replaced."""
    both = dict(base)
    for key, value in told.items():
        earlier = both.get(key)
        if isinstance(earlier, dict) and isinstance(value, dict):
            both[key] = _merged(cast("dict[str, Any]", earlier), cast("dict[str, Any]", value))
        else:
            both[key] = value
    return both


def _faults(name: str, error: ValidationError) -> str:
    told = [f"{'.'.join((name, *map(str, fault['loc'])))}: {fault['msg']}" for fault in error.errors()]
    more = f"; and {len(told) - _FAULTS_SHOWN} more" if len(told) > _FAULTS_SHOWN else ""
    return "; ".join(told[:_FAULTS_SHOWN]) + more
