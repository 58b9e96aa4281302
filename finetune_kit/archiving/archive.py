"""`Archive`: a job in a folder, which is all that is needed of it when its host is gone."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from finetune_kit._quoting import counted
from finetune_kit._tables import printable
from finetune_kit.archiving.folder import folder_of, opened
from finetune_kit.archiving.manifest import ArchivedFile, Manifest, NotArchived, read_manifest
from finetune_kit.cards import ModelCard
from finetune_kit.errors import FormatError

_BLOCK_BYTES = 1 << 20
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of an archive that is not as it was written."""

    name: str
    what: Literal["missing", "changed", "unreadable"]


@dataclass(frozen=True, slots=True)
class Archive:
    """What is kept of one job, and what is not.

    >>> archive = Archive.read("archives/ftjob-abc")  # doctest: +SKIP
    >>> archive.whole, archive.verify()  # doctest: +SKIP
    (True, ())
    """

    folder: Path
    manifest: Manifest

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> Archive:
        """An archive that was made before; its files are not looked at before `verify`."""
        path = folder_of(folder)
        return cls(path, read_manifest(path))

    @property
    def job_id(self) -> str:
        """The job's id at its host."""
        return self.manifest.job_id

    @property
    def whole(self) -> bool:
        """Whether all that the host ever had of the job is in it."""
        return self.manifest.whole

    @property
    def files(self) -> tuple[ArchivedFile, ...]:
        """What is in it."""
        return self.manifest.files

    @property
    def not_archived(self) -> tuple[NotArchived, ...]:
        """What is not in it, each with the reason: what there never was, too."""
        return self.manifest.not_archived

    def path(self, part: str) -> Path | None:
        """Where a part lies, such as `training`, `validation`, `results-1`, `events`, `checkpoints`, `answers`."""
        file = self.manifest.file(part)
        return None if file is None else self.folder / file.name

    @property
    def card(self) -> ModelCard | None:
        """The papers of the job's model, or None where they are not in it."""
        path = self.path("card")
        if path is None:
            return None
        try:
            return ModelCard.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise FormatError(f"{path} cannot be read: verify() tells what is damaged.", path=path) from error

    def verify(self) -> tuple[Damage, ...]:
        """Compute the sha256 of every file again: what is missing or changed, nothing where all is well."""
        return tuple(
            Damage(file.name, found) for file in self.files if (found := state_of(self.folder, file)) is not None
        )

    def __str__(self) -> str:
        manifest = self.manifest
        size = sum(file.size_bytes for file in self.files)
        state = "whole" if self.whole else "broken off" if manifest.broken_off else "partly archived"
        head = (
            f"{self.job_id} on {manifest.host!r} ({manifest.status}): {state}, {counted(len(self.files), 'file')}, "
            f"{size:,} bytes in {self.folder}"
        )
        more = [f"  not in it: {one.part} ({one.why}): {one.reason[:_SHOWN]}" for one in self.not_archived]
        return "\n".join(map(printable, (head, *more)))


def verify(folder: str | os.PathLike[str]) -> tuple[Damage, ...]:
    """What is missing or changed in an archive, by the sha256 of every file; nothing where all is well."""
    return Archive.read(folder).verify()


def state_of(folder: Path, file: ArchivedFile) -> Literal["missing", "changed", "unreadable"] | None:
    """What is wrong with a file of an archive; None where it is as it was written."""
    path = folder / file.name
    digest, size = hashlib.sha256(), 0
    try:
        with opened(path) as content:
            if os.fstat(content.fileno()).st_size != file.size_bytes:
                return "changed"
            while block := content.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return "changed" if error.errno == errno.ELOOP else "unreadable"
    return None if (size, digest.hexdigest()) == (file.size_bytes, file.sha256) else "changed"
