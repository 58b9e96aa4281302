"""Which job a migration has started before: written beside the archive, and said in the job's metadata."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import replace

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune_kit._retry import QUESTIONS
from finetune_kit.archiving import Archive, opened, put
from finetune_kit.backends import Backend, JobState
from finetune_kit.errors import JobNotFoundError, StorageError
from finetune_kit.remembering import place_of
from finetune_kit.training import Wanted

NAME = "migrations.json"
FROM, KEY = "moved_from", "moved_key"
_MOST_BYTES = 16 << 20
_OVER = frozenset({"failed", "cancelled"})
_log = logging.getLogger("finetune_kit")


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    host: str
    account: str
    address: str
    job_id: str


class _Records(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = 1
    migrations: tuple[_Record, ...] = ()


class Records:
    """The migrations of one archive to one backend."""

    def __init__(self, archive: Archive, to: Backend, wanted: Wanted) -> None:
        self._archive, self._to = archive, to
        self._path = archive.folder / NAME
        self._place = place_of(to)
        self.key = _key(archive, wanted)

    def marked(self, wanted: Wanted) -> Wanted:
        """With the words by which the job is known again, where the host keeps such."""
        if not self._to.profile.keeps_metadata:
            return wanted
        return replace(wanted, metadata={FROM: self._archive.job_id[:64], KEY: self.key})

    def found(self) -> JobState | None:
        """The job that an earlier call has started, unless it came to nothing."""
        recorded = self._recorded()
        if recorded is not None:
            try:
                state = QUESTIONS.call(lambda: self._to.job(recorded))
            except JobNotFoundError:
                state = None
            if state is not None and state.status not in _OVER:
                return state
        if not self._to.profile.keeps_metadata:
            return None
        listed = QUESTIONS.call(self._to.jobs)
        return next((one for one in listed if one.metadata.get(KEY) == self.key and one.status not in _OVER), None)

    def keep(self, job_id: str) -> None:
        """Remember a job; it runs already, so that a full disk must not hide it."""
        if self._place is None or self._recorded() == job_id:
            return
        place = self._place
        record = _Record(key=self.key, host=place.host, account=place.account, address=place.address, job_id=job_id)
        kept = _Records(migrations=(*(one for one in self._read() if not self._ours(one)), record))
        try:
            put(self._path, [kept.model_dump_json(indent=2).encode() + b"\n"])
        except StorageError as error:
            _log.warning("%s is started, but that could not be written down: %s", job_id, error)

    def _recorded(self) -> str | None:
        return next((one.job_id for one in self._read() if self._ours(one)), None)

    def _ours(self, record: _Record) -> bool:
        place = self._place
        return place is not None and (record.key, record.host, record.account) == (self.key, place.host, place.account)

    def _read(self) -> tuple[_Record, ...]:
        try:
            with opened(self._path) as file:
                return _Records.model_validate_json(file.read(_MOST_BYTES)).migrations
        except FileNotFoundError:
            return ()
        except (OSError, ValidationError) as error:
            _log.warning("%s cannot be read, and is taken for empty: %s", self._path, error)
            return ()


def _key(archive: Archive, wanted: Wanted) -> str:
    """The same for every migration of this job that would train the same."""
    files = [(file.part, file.sha256) for file in archive.files if file.part in {"training", "validation"}]
    settings = {name: getattr(wanted, name) for name in wanted.__dataclass_fields__ if name != "budget"}
    content = [archive.manifest.host, archive.job_id, sorted(files), settings]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:32]
