"""Result files of hosted jobs on this machine's disk: hosts delete theirs after a while."""

from __future__ import annotations

import hashlib
import logging
import re
from pathlib import Path

from finetune_kit._home import home_folder, make_folder
from finetune_kit._replacing import replacing
from finetune_kit.backends import Backend, JobState
from finetune_kit.errors import FormatError, StorageError, UnknownFileError
from finetune_kit.result_files import lines_of

_FOLDER = "results"
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]")
_log = logging.getLogger("finetune_kit")


def keeps(backend: Backend) -> bool:
    """Whether the backend is elsewhere, so that a copy is worth its place."""
    return backend.profile.runs_jobs and backend.account is not None


def keep(backend: Backend, state: JobState) -> None:
    """Have every result file of a job on the disk; asks the host only for what is not there yet."""
    if keeps(backend):
        for file_id in state.result_files:
            path = _path(backend, state.id, file_id)
            if not path.exists():
                _write(path, backend.file_content(file_id))


def content(backend: Backend, state: JobState, file_id: str) -> bytes:
    """A result file: from the disk where it is whole there, else from the host, and then kept."""
    if not keeps(backend):
        return backend.file_content(file_id)
    path = _path(backend, state.id, file_id)
    kept = _read(path)
    if kept is not None:
        return kept
    try:
        found = backend.file_content(file_id)
    except UnknownFileError as error:
        raise UnknownFileError(
            f"the result file {file_id} of {state.id} is gone from {backend.profile.name!r}, and no copy of it lies "
            f"in {path.parent}. wait() and follow() make one when they see the end of a job.",
            file_id=file_id,
        ) from error
    try:
        _write(path, found)
    except StorageError as error:
        _log.warning("The result file of %s is not kept on this machine: %s", state.id, error)
    return found


def _path(backend: Backend, job_id: str, file_id: str) -> Path:
    """Ids are the host's words: only what is harmless of them becomes part of a name, and a hash tells them apart."""
    key = "\0".join((backend.profile.name, backend.account or "", job_id, file_id))
    name = f"{_UNSAFE.sub('', job_id)[:60]}-{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    return home_folder() / _FOLDER / name


def _read(path: Path) -> bytes | None:
    """A copy, unless it is missing or damaged."""
    try:
        kept = path.read_bytes()
        for _ in lines_of(kept):
            pass
    except (OSError, FormatError):
        return None
    return kept


def _write(path: Path, found: bytes) -> None:
    make_folder(path.parent)
    with replacing(str(path)) as file:
        file.write(found)
