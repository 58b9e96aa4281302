"""Shut-down dates that hosts themselves have told, kept under the home folder with the day on which they were asked."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias, cast

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from finetune_kit._home import home_folder, make_folder, writing
from finetune_kit._replacing import replacing
from finetune_kit.hosts.calendar import today
from finetune_kit.hosts.fields import Day

FILE = "shutdowns.json"
_VERSION = 1
_PATIENCE_SECONDS = 30.0
_log = logging.getLogger("finetune_kit")

ToldFile: TypeAlias = tuple[Path, int, int, int]
"""Where it is kept, with what tells one state of the file from another."""


class Told(BaseModel):
    """What one host has told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asked_on: Day
    shuts_down: dict[str, Day]
    """By the names that the host has for its models."""
    address: str = ""
    """Where it was asked."""


def told_file() -> ToldFile | None:
    """The file as it is now; None where no host was asked."""
    path = home_folder() / FILE
    try:
        state = path.stat()
    except OSError:
        return None
    return path, state.st_mtime_ns, state.st_size, state.st_ino


def told_by_hosts(file: ToldFile | None) -> Mapping[str, Told]:
    """What each host has told when it was last asked on this machine; what is damaged is left out, and the log says so.

    >>> told_by_hosts(None)
    {}
    """
    if file is None:
        return {}
    path = file[0]
    try:
        kept: object = orjson.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        _damaged(path, str(error))
        return {}
    hosts = cast("dict[str, object]", kept).get("hosts") if isinstance(kept, dict) else None
    if not isinstance(hosts, dict) or cast("dict[str, object]", kept).get("schema_version", _VERSION) != _VERSION:
        _damaged(path, "another version of the package wrote it, or something else")
        return {}
    sound: dict[str, Told] = {}
    for name, told in cast("dict[str, object]", hosts).items():
        try:
            sound[name] = Told.model_validate(told)
        except ValidationError as error:
            _damaged(path, f"what {name!r} has told is not what it should be ({error.error_count()} faults)")
    return sound


def _damaged(path: Path, why: str) -> None:
    _log.warning("%s cannot be read, and the dates on file are taken: %s. refresh_models() writes it anew.", path, why)


def keep_told(host: str, dates: Mapping[str, date], *, address: str = "") -> Told:
    """Remember what a host tells today, in place of what it told before."""
    from filelock import FileLock

    told = Told(asked_on=today(), shuts_down=dict(dates), address=address)
    path = make_folder(home_folder()) / FILE
    with (
        writing(path),
        FileLock(path.with_suffix(".lock"), timeout=_PATIENCE_SECONDS),
    ):  # another process may ask another host
        kept = {name: one.model_dump(mode="json") for name, one in {**told_by_hosts(told_file()), host: told}.items()}
        with replacing(str(path)) as file:
            file.write(orjson.dumps({"schema_version": _VERSION, "hosts": kept}, option=orjson.OPT_INDENT_2) + b"\n")
    return told


def with_told(facts: dict[str, Any], told: Told) -> dict[str, Any]:
    """What is on file for a host, with the days that it has told for models that are on file."""
    models: dict[str, dict[str, Any]] = facts.get("models") or {}
    aliases: dict[str, str] = facts.get("aliases") or {}
    where = f" at {told.address}" if told.address else ""
    changed = {
        name: {
            **models[name],
            "shuts_down": day,
            "source": f"{models[name].get('source', '')}; its last day: the host itself{where} on {told.asked_on}",
        }
        for name, day in days_of_models(models, aliases, told.shuts_down).items()
    }
    return {**facts, "models": {**models, **changed}, "dates_told": told.asked_on}


def days_of_models(models: Container[str], aliases: Mapping[str, str], told: Mapping[str, date]) -> Mapping[str, date]:
    """The days of models that are on file; a host may know them by their names without a date.

    A day of a name for which another model stands in is none of that model.
    """
    dated = {aliases[name]: day for name, day in told.items() if aliases.get(name, "").startswith(f"{name}-")}
    return {name: day for name, day in {**dated, **told}.items() if name in models}
