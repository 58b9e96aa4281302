"""An archive while it is made: each file whole or not at all, and a manifest that is true after every one of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from finetune_kit._clock import clock
from finetune_kit._home import make_folder, writing
from finetune_kit._replacing import replacing
from finetune_kit._version import __version__
from finetune_kit.archiving.archive import Archive, state_of
from finetune_kit.archiving.manifest import NAME, ArchivedFile, Manifest, NotArchived, Why, read_manifest
from finetune_kit.backends import JobState
from finetune_kit.errors import ParameterError


class Writing:
    """One folder that a job is put into, again or for the first time."""

    def __init__(self, folder: Path, *, host: str, address: str, job_id: str) -> None:
        self.folder = make_folder(folder)
        self._host, self._address, self._job_id = host, address, job_id
        self.before = read_manifest(folder) if (folder / NAME).exists() else None
        before = self.before
        if before is not None and (before.host, before.job_id) != (host, job_id):
            raise ParameterError(
                f"{folder} holds {before.job_id} of {before.host!r}, not {job_id} of {host!r}. Name another folder.",
                parameter="folder",
            )
        # What is damaged or gone is as good as never fetched.
        self._files = {
            file.part: file for file in (before.files if before is not None else ()) if state_of(folder, file) is None
        }
        self._not_archived = {one.part: one for one in (before.not_archived if before is not None else ())}
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
        self._not_archived.clear()
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
        content: bytes,
        *,
        source_id: str = "",
        source_name: str = "",
        origin: Literal["host", "local file", "made here"] = "host",
    ) -> None:
        """Write a file, then say so in the manifest."""
        path = self.folder / name
        with writing(path), replacing(str(path)) as file:
            left = memoryview(content)
            while left:
                left = left[file.write(left) :]
        self._files[part] = ArchivedFile(
            part=part,
            name=name,
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            source_id=source_id,
            source_name=source_name,
            origin=origin,
            fetched_at=_now(),
        )
        self._not_archived.pop(part, None)
        self._write(broken_off=True)

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


def _now() -> datetime:
    return datetime.fromtimestamp(clock().now(), UTC)
