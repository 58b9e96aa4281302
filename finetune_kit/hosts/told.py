"""Shut-down dates that hosts themselves have told, kept under the home folder with the day on which they were asked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune_kit._home import home_folder, make_folder, writing
from finetune_kit._replacing import replacing
from finetune_kit.hosts.calendar import today

FILE = "shutdowns.json"
_log = logging.getLogger("finetune_kit")


class Told(BaseModel):
    """What one host has told."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    asked_on: date
    shuts_down: dict[str, date]
    """By the names that the host has for its models."""


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = 1
    hosts: dict[str, Told] = {}


def told_file() -> tuple[Path, int, int] | None:
    """Where it is kept, with what tells one state of the file from another; None where no host was asked."""
    path = home_folder() / FILE
    try:
        state = path.stat()
    except OSError:
        return None
    return path, state.st_mtime_ns, state.st_size


def told_by_hosts(file: tuple[Path, int, int] | None) -> Mapping[str, Told]:
    """What each host has told when it was last asked on this machine."""
    if file is None:
        return {}
    try:
        return _Kept.model_validate_json(file[0].read_bytes()).hosts
    except (OSError, ValidationError) as error:
        _log.warning("%s cannot be read, and the dates on file are taken: %s", file[0], error)
        return {}


def keep_told(host: str, dates: Mapping[str, date]) -> Told:
    """Remember what a host tells today, in place of what it told before."""
    told = Told(asked_on=today(), shuts_down=dict(dates))
    path = make_folder(home_folder()) / FILE
    kept = _Kept(hosts={**told_by_hosts(told_file()), host: told})
    with writing(path), replacing(str(path)) as file:
        file.write(kept.model_dump_json(indent=2).encode() + b"\n")
    return told


def with_told(facts: dict[str, Any], told: Told) -> dict[str, Any]:
    """What is on file for a host, with the days that it has told for models that are on file."""
    models: dict[str, dict[str, Any]] = facts.get("models") or {}
    aliases: dict[str, str] = facts.get("aliases") or {}
    by_name = {aliases.get(name, name): day for name, day in told.shuts_down.items()}
    by_name |= told.shuts_down
    changed = {name: {**model, "shuts_down": by_name[name]} for name, model in models.items() if name in by_name}
    return {**facts, "models": {**models, **changed}, "dates_told": told.asked_on}
