"""Files on their way to a host: sent once, found again when the answer was lost, and waited for until processed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import PurePath
from uuid import uuid4

from finetune_kit._clock import clock
from finetune_kit._retry import pause_before
from finetune_kit.backends import Backend, FileState, PartJournal
from finetune_kit.errors import (
    BackendError,
    FileRejectedError,
    HostReplyError,
    HostUnavailableError,
    RateLimitError,
    UnclearOutcomeError,
    UnknownFileError,
)
from finetune_kit.launching.locks import alone
from finetune_kit.launching.patience import Patience
from finetune_kit.ledger import Ledger, Place, Upload
from finetune_kit.uploads import SpooledFile

PROCESSING_SECONDS = 600.0
"""How long a file is waited for; then the job is asked for all the same, and the host says what is wrong with it."""
_LOOKS_FOR_A_LOST_FILE = (0.0, 2.0, 5.0)
_MOST_UPLOADS = 5

_log = logging.getLogger("finetune_kit")


class Files:
    """The files of one account at a host."""

    def __init__(
        self,
        backend: Backend,
        patience: Patience,
        *,
        remembered: tuple[Ledger, Place] | None,
        reuse: bool = True,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        self._backend, self._patience, self._on_progress = backend, patience, on_progress
        self._remembered, self._reuse = remembered, reuse

    def store(self, file: SpooledFile) -> str:
        """The id of a file at the host with these bytes, ready to be trained on."""
        if (known := file.file_id) is not None:
            return self._ready(self._patience.ask(lambda: self._backend.file(known)), None)
        if self._remembered is None:
            return self._ready(self._send(file, journal=None, find=None), None)
        ledger, place = self._remembered
        key = ("upload", place.host, place.account, file.sha256)
        with alone(ledger.locks, *key, what="uploading the same file", patience=self._patience):
            begun: Upload | None = None
            for upload in ledger.uploads.of_content(place, sha256=file.sha256, size_bytes=file.size_bytes):
                if upload.file_id is None:
                    begun = upload
                elif self._reuse and (state := self._still_there(ledger, upload, upload.file_id)) is not None:
                    return self._ready(state, upload)
            upload = begun or Upload.new(
                place, filename=_unique(file.filename), sha256=file.sha256, size_bytes=file.size_bytes
            )
            state = self._arrived(ledger, upload, file, lost=begun is not None)
            return self._ready(state, upload)

    def _still_there(self, ledger: Ledger, upload: Upload, file_id: str) -> FileState | None:
        """A file that was sent earlier, where the host confirms it."""
        try:
            state = self._patience.ask(lambda: self._backend.file(file_id))
        except UnknownFileError:
            state = None
        if state is None or state.size_bytes != upload.size_bytes or state.status in ("error", "deleted"):
            ledger.uploads.forget(upload)
            return None
        _log.info("%s is at the host already and is used again.", file_id)
        return state

    def _arrived(self, ledger: Ledger, upload: Upload, file: SpooledFile, *, lost: bool) -> FileState:
        """Send the file, unless it turns out that an earlier attempt has done so and only its answer was lost."""

        def find() -> FileState | None:
            stored = self._patience.ask(self._backend.files)
            return next((state for state in stored if _same(state, upload)), None)

        state = find() if lost else None
        if state is None:
            journal = ledger.uploads.begin(upload)
            file.filename = upload.filename
            state = self._send(file, journal=journal, find=find)
        else:
            _log.info("%s has arrived by an earlier attempt whose answer was lost; it is used.", state.id)
        ledger.uploads.arrived(upload, state.id)
        return state

    def _send(
        self, file: SpooledFile, *, journal: PartJournal | None, find: Callable[[], FileState | None] | None
    ) -> FileState:
        sent, attempt = 0, 0
        while True:
            attempt += 1
            try:
                return self._backend.upload(file, journal=journal, on_progress=self._on_progress)
            except (RateLimitError, HostUnavailableError, HostReplyError, UnclearOutcomeError) as error:
                if _arrival_is_unclear(error):
                    sent += 1
                    found = self._look(find) if find is not None else None
                    if found is not None:
                        return found
                if sent >= _MOST_UPLOADS or not self._patience.wait(attempt, error):
                    raise

    def _look(self, find: Callable[[], FileState | None]) -> FileState | None:
        """A list may lag behind what it lists."""
        for pause in _LOOKS_FOR_A_LOST_FILE:
            clock().sleep(pause)
            found = find()
            if found is not None:
                return found
        return None

    def _ready(self, state: FileState, upload: Upload | None) -> str:
        """Wait until the host has looked at the file; `FileRejectedError` where it cannot use it."""
        file_id, begun, attempt = state.id, clock().monotonic(), 0
        while state.status not in ("processed", ""):
            if state.status == "error":
                if self._remembered is not None and upload is not None:
                    self._remembered[0].uploads.forget(upload)
                reason = state.reason or "it gives no reason"
                raise FileRejectedError(
                    f"the host cannot use {state.filename or 'the file'} ({file_id}): {reason}.",
                    file_id=file_id,
                )
            if clock().monotonic() - begun >= min(PROCESSING_SECONDS, self._patience.left + 1):
                _log.warning("The host still calls %s %r; it is asked for the job all the same.", file_id, state.status)
                break
            attempt += 1
            clock().sleep(pause_before(attempt, longest_seconds=10.0))
            state = self._patience.ask(lambda: self._backend.file(file_id))
        return file_id


def _arrival_is_unclear(error: BackendError) -> bool:
    if isinstance(error, HostUnavailableError):
        return error.sent
    return not isinstance(error, RateLimitError)


def _same(state: FileState, upload: Upload) -> bool:
    named = PurePath(state.filename).name == upload.filename
    return named and state.size_bytes == upload.size_bytes and state.status not in ("error", "deleted")


def _unique(filename: str) -> str:
    path = PurePath(filename)
    return f"{path.stem}-{uuid4().hex[:16]}{path.suffix}"
