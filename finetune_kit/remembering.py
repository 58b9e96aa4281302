"""What the ledger is told of a backend's jobs and files: a job goes on even where that cannot be written down."""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from finetune_kit.backends import Backend, JobState
from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.errors import JobNotFinishedError, StorageError, UnknownFileError
from finetune_kit.ledger import Ledger, Place


@runtime_checkable
class HasAddress(Protocol):
    """What a backend may offer besides: where it asks."""

    @property
    def address(self) -> str:
        """The host's address, without a secret in it."""
        ...


_log = logging.getLogger("finetune_kit")
_told_ends: list[tuple[Ledger, Place, str]] = []


def place_of(backend: Backend) -> Place | None:
    """Where its files and jobs belong, or None where nothing need be remembered."""
    account = backend.account
    if account is None:
        return None
    address = backend.address if isinstance(backend, HasAddress) else ""
    return Place(host=backend.profile.name, account=account, address=address)


def saw(backend: Backend, state: JobState, *, told_end: bool = True) -> None:
    """Remember how a job is: to be called when something has changed.

    Where it has failed or was cancelled, whoever called knows it now, and the same training is a new one. A model is
    made use of by the time that this process ends well or starts another job: one that is killed, or ends by an
    error that nobody caught, leaves the job to be taken up again. With `told_end` false, nobody has been told.
    """

    def write(ledger: Ledger, place: Place) -> None:
        ledger.intents.saw(place, state.id, status=state.status, fine_tuned_model=state.fine_tuned_model)
        if state.finished and told_end:
            if state.status == "succeeded":
                _told_ends.append((ledger, place, state.id))
            else:
                ledger.intents.end_seen(place, state.id)

    _write(backend, write)


def settle_ends() -> None:
    """Remember of all jobs of whose success this process was told that it has made use of them."""
    while True:
        try:
            ledger, place, job_id = _told_ends.pop()
        except IndexError:  # asked for, not looked for: other threads take of them too
            return
        try:
            ledger.intents.end_seen(place, job_id)
        except StorageError as error:
            _log.warning("That the end of %s was seen is not written down: %s", job_id, error)


@atexit.register
def _at_exit() -> None:
    if getattr(sys, "last_value", None) is None:  # set where an error that nobody caught ends a process
        settle_ends()


def let_go(backend: Backend, job_id: str) -> None:
    """Remember that somebody has given a job up, by cancelling it: the same training is then a new one."""
    _write(backend, lambda ledger, place: ledger.intents.end_seen(place, job_id))


def told(backend: Backend, job_id: str, *, event_id: str) -> None:
    """Remember the last event that somebody was told of."""
    _write(backend, lambda ledger, place: ledger.intents.told(place, job_id, event_id=event_id))


def last_told(backend: Backend, job_id: str) -> str | None:
    """The last event that somebody on this machine was told of, if it started the job."""
    place = place_of(backend)
    intent = None if place is None else Ledger().intents.of_job(place, job_id)
    return None if intent is None else intent.event_cursor


def delete_files(backend: Backend, state: JobState) -> tuple[str, ...]:
    """Delete the files that a finished job was trained on; the ids of those that are gone.

    One that an unfinished job of this machine reads as well is kept. `JobNotFinishedError` before the end.
    """
    if not state.finished:
        raise JobNotFinishedError(
            f"{state.id} is {state.status!r} and may still read its files. wait() for it, or cancel() it first.",
            job_id=state.id,
        )
    place = place_of(backend)
    ledger = None if place is None else Ledger()
    gone: list[str] = []
    for file_id in dict.fromkeys(filter(None, (state.training_file, state.validation_file))):
        if ledger is not None and place is not None:
            readers = ledger.intents.unfinished_with(place, file_id, ended=TERMINAL)
            if any(reader.job_id != state.id for reader in readers):
                _log.warning("%s is kept: another job that has not ended reads it too.", file_id)
                continue
            ledger.uploads.forget_file(place, file_id)  # first: what is at the host unknown is never re-used
        try:
            backend.delete_file(file_id)
        except UnknownFileError:
            continue
        gone.append(file_id)
    return tuple(gone)


def _write(backend: Backend, write: Callable[[Ledger, Place], None]) -> None:
    place = place_of(backend)
    if place is None:
        return
    try:
        write(Ledger(), place)
    except StorageError as error:
        _log.warning("The job goes on, but what was seen of it is not written down: %s", error)
