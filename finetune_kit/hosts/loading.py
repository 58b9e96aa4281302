"""Host profiles from the package's data files, with those of plug-ins and the user's own file laid over them."""

from __future__ import annotations

import os
import sys
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeAlias, cast

import orjson
from pydantic import ValidationError

from finetune_kit._arguments import string
from finetune_kit._quoting import quoted, shown
from finetune_kit._warning import warn_user
from finetune_kit.errors import FormatError, ParameterError, SourceNotFoundError
from finetune_kit.hosts.plugins import installed_hosts, origin_of
from finetune_kit.hosts.profile import FileRules, HostProfile
from finetune_kit.hosts.told import ToldFile, told_by_hosts, told_file, with_told

ENVIRONMENT_VARIABLE = "FINETUNE_KIT_HOSTS"

SHIPPED = ("openai", "azure", "nebius", "crusoe", "bedrock", "litellm", "generic", "together", "dashscope", "local")
"""In the order in which a model's name is looked up."""
_PACKAGE = "finetune_kit.hosts"
_FAULTS_SHOWN = 5

_Facts: TypeAlias = dict[str, Any]
_OwnFile: TypeAlias = tuple[Path, int, int]


def host_profile(name: str, *, hosts: str | os.PathLike[str] | None = None) -> HostProfile:
    """The profile of the host `name`; `hosts` is a file of the user's own, else what FINETUNE_KIT_HOSTS names.

    `FormatError` where a plug-in brings the host along and is broken.
    """
    profiles = _all_profiles(hosts)
    if string("host", name) not in profiles:
        raise ParameterError(f"host={name!r} is not known; there are {', '.join(profiles)}.", parameter="host")
    found = profiles[name]
    if isinstance(found, FormatError):
        raise found
    return found


def file_rules(name: str) -> FileRules:
    """What the host `name` wants of files; hosts are known here before jobs can run there."""
    return host_profile(name)


def host_profiles(hosts: str | os.PathLike[str] | None = None) -> dict[str, HostProfile]:
    """All profiles by name.

    The user's file is JSON: `{"openai": {"models": {"gpt-4.1": {"prices": {"training": 20}}}}}`. What it says replaces
    what a plug-in says, and that replaces what the package ships, key by key; a host of another name must be told in
    full. A broken plug-in is a warning, and its host is left out.
    """
    sound: dict[str, HostProfile] = {}
    for name, found in _all_profiles(hosts).items():
        if isinstance(found, FormatError):
            warn_user(UserWarning(str(found)))
        else:
            sound[name] = found
    return sound


def _all_profiles(hosts: str | os.PathLike[str] | None) -> dict[str, HostProfile | FormatError]:
    chosen = hosts if hosts is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    # Packages are looked for again where others could have come in.
    own = None if chosen is None else _own_file(chosen, given=hosts is not None)
    return _profiles(own, tuple(sys.path), told_file())


def _own_file(chosen: str | os.PathLike[str], *, given: bool) -> _OwnFile:
    if not _names_a_file(chosen):
        raise ParameterError(
            f"hosts={shown(chosen)}: give the path of a JSON file of host profiles.", parameter="hosts"
        )
    path = Path(chosen)
    try:
        path = path.expanduser()
        state = path.stat()
    except (OSError, ValueError, RuntimeError) as error:  # no name that a file can have; no such user's folder
        where = "hosts=" if given else f"the environment variable {ENVIRONMENT_VARIABLE}"
        why = getattr(error, "strerror", None) or error
        raise SourceNotFoundError(
            f"{quoted(str(path))}: the file of host profiles named by {where} cannot be read: {why}.", path=path
        ) from error
    return path, state.st_mtime_ns, state.st_size


def _names_a_file(chosen: object) -> bool:
    """Most people run no type checker."""
    return isinstance(chosen, str | os.PathLike) and bool(os.fspath(cast("str | os.PathLike[str]", chosen)))


@lru_cache(maxsize=8)
def _profiles(
    own: _OwnFile | None, import_path: tuple[str, ...], told: ToldFile | None
) -> dict[str, HostProfile | FormatError]:
    layers, profiles = _installed(import_path)
    if own is None and told is None:
        return profiles
    layers, profiles = dict(layers), dict(profiles)
    for name, dates in told_by_hosts(told).items():
        if name in layers and isinstance(profiles[name], HostProfile):
            layers[name] = with_told(layers[name], dates)
            profiles[name] = _profile(name, layers[name], f"what {name!r} has told", None)
    if own is not None:
        path = own[0]
        for name, facts in _read(path).items():
            profiles[name] = _profile(name, _merged(layers.get(name, {"name": name}), facts), f"{path}", path)
    return profiles


@lru_cache(maxsize=2)
def _installed(_import_path: tuple[str, ...]) -> tuple[dict[str, _Facts], dict[str, HostProfile | FormatError]]:
    """What is shipped and what plug-ins say, as facts and as profiles."""
    facts = {name: _raw(name) for name in SHIPPED}
    profiles: dict[str, HostProfile | FormatError] = {name: _shipped(name) for name in SHIPPED}
    for name, told in installed_hosts().items():
        if isinstance(told, FormatError):
            profiles[name] = told
            continue
        merged = _merged(facts.get(name, {"name": name}), told)
        try:
            profiles[name] = _profile(name, merged, origin_of(name), None)
        except FormatError as error:
            profiles[name] = error
        else:
            facts[name] = merged
    return facts, profiles


@cache
def _raw(name: str) -> _Facts:
    return cast("_Facts", orjson.loads((files(_PACKAGE) / f"{name}.json").read_bytes()))


@cache
def _shipped(name: str) -> HostProfile:
    return HostProfile.model_validate(_raw(name))


def _profile(name: str, facts: _Facts, origin: str, path: Path | None) -> HostProfile:
    try:
        profile = HostProfile.model_validate(facts)
    except ValidationError as error:
        raise FormatError(f"{origin}: {_faults(name, error)}", path=path) from error
    if profile.name != name:
        raise FormatError(f"{origin}: the host {name!r} calls itself {profile.name!r}. Leave `name` out.", path=path)
    return profile


def _read(path: Path) -> dict[str, _Facts]:
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


def _merged(base: _Facts, told: _Facts) -> _Facts:
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
    told = [
        f"{'.'.join((name, *map(str, fault['loc'])))}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in error.errors()
    ]
    more = f"; and {len(told) - _FAULTS_SHOWN} more" if len(told) > _FAULTS_SHOWN else ""
    return "; ".join(told[:_FAULTS_SHOWN]) + more
