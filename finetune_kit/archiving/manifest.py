"""The manifest of an archive: every file with its hash, and everything that is not in it with the reason."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from finetune_kit.archiving.folder import opened, put
from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.errors import FormatError, SourceNotFoundError

NAME = "manifest.json"
SCHEMA_VERSION = 1

Why: TypeAlias = Literal["none", "left out", "later", "gone", "failed"]
"""`none`: there never was one. `left out`: the caller's wish. `later`: the job has not ended. `gone`: the host does not
have it any more. `failed`: it could not be had this time; the same call may have it later."""

_PLAIN_NAME = re.compile(
    r"(?!(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|$))[a-z0-9][a-z0-9_-]{0,99}(?:\.[a-z0-9]{1,20}){0,3}"
)
_MOST_BYTES = 64 << 20
"""What is larger is no manifest, though it be named so."""


class DamagedManifestError(FormatError):
    """A manifest that was not written here, or not as it is now."""


class _Version(BaseModel):
    """Looked at first: all else may be otherwise in a newer one."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)


class ArchivedFile(BaseModel):
    """One file of an archive."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    part: str
    """What of the job it is, such as `training`."""
    name: str
    """In the folder; chosen here, never by the host."""
    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    source_id: str = ""
    """The host's id of a stored file."""
    source_name: str = ""
    """What the host calls it; to be read, not to be used as a path."""
    origin: Literal["host", "local file", "made here"] = "host"
    fetched_at: datetime

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        if _PLAIN_NAME.fullmatch(name) is None or name in {NAME, "migrations.json"}:
            raise ValueError(f"{name[:60]!r} is no plain file name; such a manifest was not written here")
        return name


class NotArchived(BaseModel):
    """Something that is not in the archive."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    part: str
    why: Why
    reason: str
    """In a sentence."""
    source_id: str = ""


class Manifest(BaseModel):
    """What is in an archive and what is not."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA_VERSION
    host: str
    address: str = ""
    """Where the host answered."""
    job_id: str
    status: str
    """Of the job, when it was last asked."""
    model: str
    """What was trained."""
    fine_tuned_model: str | None = None
    archived_at: datetime
    """When it was last written."""
    library: str
    """The version that wrote it."""
    broken_off: bool = False
    """Whether whoever wrote it has not come to an end: it is so in between, and after a death."""
    files: tuple[ArchivedFile, ...] = ()
    not_archived: tuple[NotArchived, ...] = ()

    @field_validator("files")
    @classmethod
    def _no_two_are_one(cls, files: tuple[ArchivedFile, ...]) -> tuple[ArchivedFile, ...]:
        for what in ("part", "name"):
            if len({getattr(file, what) for file in files}) < len(files):
                raise ValueError(f"two files have the same {what}; such a manifest was not written here")
        return files

    @property
    def whole(self) -> bool:
        """Whether all that the host ever had of the job is in it."""
        return not self.broken_off and not any(one.why in {"later", "gone", "failed"} for one in self.not_archived)

    @property
    def final(self) -> bool:
        """Whether it tells of the end of the job, so that nothing in it can be out of date."""
        return self.status in TERMINAL and not self.broken_off

    def file(self, part: str) -> ArchivedFile | None:
        """The file of a part, if it is there."""
        return next((file for file in self.files if file.part == part), None)

    def write(self, folder: Path) -> None:
        """Put it into the folder, whole or not at all."""
        put(folder / NAME, [self.model_dump_json(indent=2).encode() + b"\n"])


def read_manifest(folder: Path) -> Manifest:
    """The manifest in a folder; `SourceNotFoundError` where there is none, `FormatError` where it cannot be trusted."""
    path = folder / NAME
    try:
        with opened(path) as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SourceNotFoundError(
            f"{path} cannot be read ({error.strerror}): {folder} is no archive. job.archive(folder) makes one.",
            path=path,
        ) from error
    try:
        version = _Version.model_validate_json(content).schema_version
        if version > SCHEMA_VERSION:
            raise FormatError(
                f"{path} has schema version {version}, and this version of finetune_kit reads up to {SCHEMA_VERSION}. "
                "Install a newer one.",
                path=path,
            )
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"])) or "the file"
        raise DamagedManifestError(
            f"{path} is damaged: {where}: {fault['msg']}. While the host lives, archive the job into another folder.",
            path=path,
        ) from error
