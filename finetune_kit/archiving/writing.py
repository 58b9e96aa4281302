"""An archive while it is made: each file whole or not at all, and a manifest that is true after every one of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from finetune_kit._clock import clock
from finetune_kit._home import writing
from finetune_kit._version import __version__
from finetune_kit.archiving.archive import Archive, state_of
from finetune_kit.archiving.folder import opened, put
from finetune_kit.archiving.manifest import (
    NAME,
    ArchivedFile,
    DamagedManifestError,
    Manifest,
    NotArchived,
    Why,
    read_manifest,
)
from finetune_kit.backends import JobState
from finetune_kit.errors import ParameterError

_MOST_BYTES = 64 << 20
_log = logging.getLogger("finetune_kit")


class _State(BaseModel):
    id: str


class _Job(BaseModel):
    state: _State


class Writing:
    """One folder that a job is put into, again or for the first time."""

    def __init__(self, folder: Path, *, host: str, address: str, job_id: str) -> None:
        self.folder = folder
        self._host, self._address, self._job_id = host, address, job_id
        self.before = _before(folder, job_id)
        before = self.before
        if before is not None and (before.host, before.job_id) != (host, job_id):
            raise ParameterError(
                f"{folder} holds {before.job_id} of {before.host!r}, not {job_id} of {host!r}. Name another folder.",
                parameter="folder",
            )
        self._files: dict[str, ArchivedFile] = {}
        self._not_archived = {one.part: one for one in (before.not_archived if before is not None else ())}
        self._damaged: dict[str, NotArchived] = {}
        for file in before.files if before is not None else ():
            if (damage := state_of(folder, file)) is None:
                self._files[file.part] = file
            else:  # as good as never fetched
                reason = f"{file.name}, fetched before, is {damage}"
                self._damaged[file.part] = NotArchived(
                    part=file.part, why="failed", reason=reason, source_id=file.source_id
                )
        self._not_archived |= self._damaged
        self._manifest = before

    @property
    def settled(self) -> bool:
        """Whether the host need not be asked again for anything but answers: the job has ended, and all is here."""
        before = self.before
        return before is not None and before.final and before.whole and len(self._files) == len(before.files)

    def has(self, part: str) -> ArchivedFile | None:
        """A sound file of a part."""
        return self._files.get(part)

    def missing(self, part: str) -> NotArchived | None:
        """Why a part is not here, where that was found."""
        return self._not_archived.get(part)

    def saw(self, state: JobState, *, model: str) -> None:
        """Remember how the job is; what was missing before is found out anew."""
        self._not_archived = dict(self._damaged)
        self._manifest = Manifest(
            host=self._host,
            address=self._address,
            job_id=self._job_id,
            status=state.status,
            model=model,
            fine_tuned_model=state.fine_tuned_model,
            archived_at=_now(),
            library=__version__,
        )

    def keep(
        self,
        part: str,
        name: str,
        pieces: Iterable[bytes],
        *,
        source_id: str = "",
        source_name: str = "",
        origin: Literal["host", "local file", "made here"] = "host",
    ) -> None:
        """Write a file, then say so in the manifest."""
        written = put(self.folder / name, pieces)
        self._files[part] = ArchivedFile(
            part=part,
            name=name,
            size_bytes=written.size_bytes,
            sha256=written.sha256,
            source_id=source_id,
            source_name=source_name,
            origin=origin,
            fetched_at=_now(),
        )
        self._not_archived.pop(part, None)
        self._write(broken_off=True)

    def drop(self, part: str) -> None:
        """Let go of a file that something better takes the place of."""
        self._files.pop(part, None)

    def leave_out(self, part: str, why: Why, reason: str, *, source_id: str = "") -> None:
        """Say that a part is not here and why, unless an earlier fetch is here still."""
        if part not in self._files:
            self._not_archived[part] = NotArchived(part=part, why=why, reason=reason, source_id=source_id)

    def expect(self, parts: Iterable[str]) -> None:
        """Say of parts that are not here that they are still to come, should this be broken off."""
        for part in parts:
            self.leave_out(part, "failed", "archiving was broken off before it came to this: call it again")

    def so_far(self) -> Archive:
        """The archive as it is in between."""
        return self._write(broken_off=True)

    def write(self) -> Archive:
        """Bring the manifest up to date: nothing more is coming now."""
        return self._write(broken_off=False)

    def _write(self, *, broken_off: bool) -> Archive:
        assert self._manifest is not None  # a job that was never seen has nothing to be written down
        manifest = self._manifest.model_copy(
            update={
                "archived_at": _now(),
                "broken_off": broken_off,
                "files": tuple(self._files.values()),
                "not_archived": tuple(self._not_archived.values()),
            }
        )
        manifest.write(self.folder)
        return Archive(self.folder, manifest)


def _before(folder: Path, job_id: str) -> Manifest | None:
    """The manifest that is there; one that is damaged is put aside, where this is the job's folder for certain."""
    path = folder / NAME
    try:
        return read_manifest(folder) if os.path.lexists(path) else None
    except DamagedManifestError:
        if not _is_of(folder, job_id):
            raise
        with writing(path):
            path.replace(folder / f"damaged-{NAME}")
        _log.warning("%s is damaged. It is kept as damaged-%s, and the job is brought home anew.", path, NAME)
        return None


def _is_of(folder: Path, job_id: str) -> bool:
    try:
        with opened(folder / "job.json") as file:
            return _Job.model_validate_json(file.read(_MOST_BYTES)).state.id == job_id
    except (OSError, ValidationError):
        return False


def _now() -> datetime:
    return datetime.fromtimestamp(clock().now(), UTC)
