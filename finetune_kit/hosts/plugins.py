"""Hosts that other packages bring along, found by their entry points and loaded when a profile is first asked for."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, cast

import orjson

from finetune_kit.errors import FormatError
from finetune_kit.hosts.profile import HostProfile

GROUP = "finetune_kit.hosts"
"""The entry-point group: an entry is named after its host, and leads to a mapping, a `HostProfile` or a JSON file."""

_REASON_LENGTH = 200


def installed_hosts() -> dict[str, dict[str, Any] | FormatError]:
    """What installed packages tell of each host, by its name; for one that cannot be loaded, the error that says so."""
    found = sorted(entry_points(group=GROUP), key=lambda point: (point.name, _package(point), point.value))
    told: dict[str, dict[str, Any] | FormatError] = {}
    for point in found:
        if point.name in told:
            told[point.name] = FormatError(f"more than one package brings along the host {point.name!r}: {_at(point)}.")
        else:
            told[point.name] = _loaded(point)
    return told


def origin_of(name: str) -> str:
    """Which package brings the host along, for a message."""
    return next((_at(point) for point in entry_points(group=GROUP) if point.name == name), f"the plug-in {name!r}")


def _loaded(point: EntryPoint) -> dict[str, Any] | FormatError:
    try:
        return _as_facts(point.load())
    except (Exception, SystemExit) as error:  # noqa: BLE001 - anybody's code: this is the edge between it and ours
        reason = " ".join(traceback.format_exception_only(error)[-1].split())
        shown = reason if len(reason) <= _REASON_LENGTH else f"{reason[:_REASON_LENGTH]}…"
        return FormatError(
            f"the host {point.name!r}, which {_at(point)} brings along, could not be loaded: {shown} "
            "Update the package or uninstall it."
        )


def _as_facts(loaded: object) -> dict[str, Any]:
    if isinstance(loaded, HostProfile):
        return loaded.model_dump(mode="json")
    if isinstance(loaded, str | os.PathLike):
        loaded = orjson.loads(Path(cast("str | os.PathLike[str]", loaded)).read_bytes().removeprefix(b"\xef\xbb\xbf"))
    if not isinstance(loaded, Mapping):
        raise TypeError(f"it is {type(loaded).__name__}, not a mapping, a HostProfile or the path of a JSON file")
    return dict(cast("Mapping[str, Any]", loaded))


def _at(point: EntryPoint) -> str:
    return f"the package {_package(point) or 'without a name'}"


def _package(point: EntryPoint) -> str:
    return "" if point.dist is None else f"{point.dist.name} {point.dist.version}"
