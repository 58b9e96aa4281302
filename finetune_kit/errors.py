"""Every error this library raises, as one tree.

    FinetuneKitError
    ├── DataError (ValueError)              something is wrong with the user's data
    │   ├── SourceNotFoundError (FileNotFoundError)  the file is not there, or is not a file
    │   ├── EmptyDataError                  nothing to read
    │   ├── EncodingError                   the bytes are not text in any encoding we can prove
    │   ├── FormatError                     not the CSV, JSON or JSON Lines it should be
    │   ├── ColumnError                     a named column is not there, or none could be guessed
    │   ├── RowError                        one row cannot be kept as it is
    │   ├── FileTooLargeError               more than the host takes in one file
    │   └── ValidationError                 the report at the door of `train` holds errors
    ├── ParameterError (ValueError)         an argument is out of its range, or two do not go together
    ├── BudgetError (ValueError)            the training may cost more than the budget, or nobody knows what it costs
    ├── SplitError (ValueError)             the data cannot be split as asked
    ├── TemplateError (ValueError)          a model was called in a way its template does not know
    ├── MissingExtraError (ImportError)     an optional package is not installed
    ├── WebhookError (ValueError)           a message that claims to be the host's is not, or is too old
    ├── BackendError (RuntimeError)         the place where the training runs says no
    │   ├── UnknownModelError (LookupError) no such base or fine-tuned model there
    │   ├── ModelClosedError                the model is shut down, or takes no new training
    │   ├── JobNotFoundError (LookupError)  no such job there
    │   ├── UnknownFileError (LookupError)  no such file there
    │   ├── FileRejectedError               the host cannot use a file that was uploaded
    │   ├── AuthenticationError (PermissionError)  the API key is missing, wrong or revoked
    │   ├── AccessError (PermissionError)   the key is good, but not for this
    │   │   └── TrainingNotAvailableError   the host takes no new jobs from this organisation
    │   ├── RequestRefusedError (ValueError)  the host does not take a value that was sent
    │   ├── RateLimitError                  too many requests; `.retry_after_seconds` says when to ask again
    │   │   └── JobSlotsError               too many jobs wait there already
    │   ├── QuotaError                      the account's money or quota is used up
    │   ├── HostUnavailableError (ConnectionError)  no answer, or the host says that it is in trouble
    │   ├── HostReplyError                  the answer is not what the API promises: HTML, half JSON, a missing field
    │   ├── UnclearOutcomeError             whether a job or file was created there is not known
    │   ├── WeightsError (OSError)          the base model cannot be fetched, or is damaged
    │   ├── StorageError (OSError)          the home folder cannot be written: disk full, permission, damage
    │   └── EngineError                     the engine cannot run on this machine as asked
    │       └── InsufficientMemoryError (MemoryError)  a model, or its training, does not fit into memory
    └── JobError (RuntimeError)             one job did not do what it was asked
        ├── JobFailedError                  it ended as failed
        ├── JobCancelledError               it ended as cancelled
        ├── JobNotFinishedError             it is asked for what only a finished job has
        └── WaitTimeoutError (TimeoutError) the caller's patience ended; the job goes on

    Detached (KeyboardInterrupt)            Ctrl-C in `wait`: the job goes on
    ShutdownWarning (UserWarning)           the model will be shut down, or take no new training, soon

To add one: derive it from its parent and from the closest built-in; give it fields as keyword arguments with defaults,
and pass them to `super().__init__`; write the message as what, where, what to do. `tests/test_errors.py` takes it up by
itself.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


def _rebuild(kind: type[BaseException], message: str, fields: dict[str, Any]) -> BaseException:
    error = kind(message)
    error.__dict__.update(fields)
    return error


class FinetuneKitError(Exception):
    """The root: catch this to catch everything the library raises on purpose."""

    retryable: bool = False
    """Whether the same call may succeed later without a change."""

    def __init__(self, message: str, **fields: object) -> None:
        super().__init__(message)
        self.__dict__.update(fields)

    def __str__(self) -> str:
        # OSError and KeyError format themselves from their arguments; ours are sentences already.
        return str(self.args[0]) if self.args else type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), dict(self.__dict__))


class DataError(FinetuneKitError, ValueError):
    """Something is wrong with the user's data."""

    def __init__(self, message: str, *, path: str | Path | None = None, row: int | None = None) -> None:
        super().__init__(message, path=None if path is None else str(path), row=row)

    path: str | None
    """The file, as the user named it."""
    row: int | None
    """The line in the file, counted from 1, or the record's number where there is no file."""


class SourceNotFoundError(DataError, FileNotFoundError):
    """The file is not there, or is not a file."""


class EmptyDataError(DataError):
    """There is nothing to read."""


class EncodingError(DataError):
    """The bytes are not text in any encoding we can prove."""


class FormatError(DataError):
    """The text is not the CSV, JSON or JSON Lines it should be."""


class ColumnError(DataError):
    """A named column is not there, or none could be guessed."""


class RowError(DataError):
    """One row cannot be kept as it is; the message is the reason, and readers collect it as a `Refusal`."""

    def __init__(self, message: str, *, code: str = "bad_row", hint: str = "", column: int | None = None) -> None:
        super().__init__(message)
        self.code, self.hint, self.column = code, hint, column

    code: str
    """A stable word for programs, such as `wrong_type`."""
    hint: str
    """What to do."""
    column: int | None
    """The character in the line, counted from 1, where that is known."""


class FileTooLargeError(DataError):
    """The file would be larger than its host takes."""

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        size_bytes: int | None = None,
        max_bytes: int | None = None,
        rows_that_fit: int | None = None,
    ) -> None:
        super().__init__(message, path=path)
        self.size_bytes, self.max_bytes = size_bytes, max_bytes
        self.rows_that_fit = rows_that_fit


class ValidationError(DataError):
    """The report at the door of `train` holds errors; it is in `.report`."""

    report: Any = None
    """The whole `Report`."""

    def __init__(self, message: str, *, report: object = None) -> None:
        super().__init__(message)
        self.report = report


class ParameterError(FinetuneKitError, ValueError):
    """An argument is out of its range, or two arguments do not go together."""

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(message, parameter=parameter)

    parameter: str | None


class BudgetError(FinetuneKitError, ValueError):
    """The training may cost more than `budget=` allows, or its cost is not known; nothing was uploaded."""

    estimate: Any = None
    """The whole `CostEstimate`."""

    def __init__(self, message: str, *, budget: float | None = None, estimate: object = None) -> None:
        super().__init__(message, budget=budget)
        self.estimate = estimate

    budget: float | None
    """US dollars."""


class SplitError(FinetuneKitError, ValueError):
    """The data cannot be split as asked."""


class TemplateError(FinetuneKitError, ValueError):
    """A model was called in a way that its template does not know."""


class MissingExtraError(FinetuneKitError, ImportError):
    """An optional package is not installed; the message says the pip line."""

    def __init__(self, message: str, *, package: str | None = None, extra: str | None = None) -> None:
        super().__init__(message, package=package, extra=extra)

    package: str | None
    extra: str | None


class WebhookError(FinetuneKitError, ValueError):
    """A message that claims to be the host's is not: its signature is wrong, it is too old, or it tells of no job."""


class BackendError(FinetuneKitError, RuntimeError):
    """The place where the training runs says no."""

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message, retryable=retryable)


class UnknownModelError(BackendError, LookupError):
    """There is no such base or fine-tuned model there; `.known` lists those there are."""

    def __init__(self, message: str, *, model: str | None = None, known: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.model, self.known = model, known


class ModelClosedError(BackendError):
    """The model is shut down, or takes no new training."""

    def __init__(self, message: str, *, model: str | None = None) -> None:
        super().__init__(message)
        self.model = model


class JobNotFoundError(BackendError, LookupError):
    """There is no such job there."""

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class UnknownFileError(BackendError, LookupError):
    """There is no such file there."""

    def __init__(self, message: str, *, file_id: str | None = None) -> None:
        super().__init__(message)
        self.file_id = file_id


class FileRejectedError(BackendError):
    """The host has the file, and says that it cannot use it."""

    def __init__(self, message: str, *, file_id: str | None = None) -> None:
        super().__init__(message)
        self.file_id = file_id


class AuthenticationError(BackendError, PermissionError):
    """The API key is missing, wrong or revoked."""


class AccessError(BackendError, PermissionError):
    """The key is good, but not for what was asked; `.code` is the host's word for it."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class TrainingNotAvailableError(AccessError):
    """The host takes no new fine-tuning jobs from this organisation; other hosts do, and the engine on this machine."""


class RequestRefusedError(BackendError, ValueError):
    """The host does not take a value that was sent; `.parameter` is the host's word for it."""

    def __init__(self, message: str, *, code: str | None = None, parameter: str | None = None) -> None:
        super().__init__(message)
        self.code, self.parameter = code, parameter


class RateLimitError(BackendError):
    """Too many requests; nothing was done."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retryable=True)
        self.retry_after_seconds = retry_after_seconds


class JobSlotsError(RateLimitError):
    """As many jobs as the host allows wait or run there already; nothing was started."""


class QuotaError(BackendError):
    """The account's money or quota is used up; asking again does not help."""


class HostUnavailableError(BackendError, builtins.ConnectionError):
    """No answer from the host, or one that says it is in trouble; nothing was changed by a question."""

    def __init__(
        self, message: str, *, status: int | None = None, retry_after_seconds: float | None = None, sent: bool = True
    ) -> None:
        super().__init__(message, retryable=True)
        self.status, self.retry_after_seconds, self.sent = status, retry_after_seconds, sent

    status: int | None
    """The HTTP status, or None where there was no answer."""
    sent: bool
    """False where the request cannot have reached the host."""


class HostReplyError(BackendError):
    """The host's answer is not what its API promises: HTML, half a JSON text, a missing field."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retryable=True)


class UnclearOutcomeError(BackendError):
    """Whether a job or a file was created there is not known; the cause is in `__cause__`.

    Nothing is lost: the same call looks for it before it asks again.
    """

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message, retryable=True)
        self.retry_after_seconds = retry_after_seconds


class WeightsError(BackendError, OSError):
    """The base model cannot be fetched, or what was fetched is damaged."""


class StorageError(BackendError, OSError):
    """The home folder cannot be written or read: disk full, no permission, damaged state."""


class EngineError(BackendError):
    """The engine cannot run on this machine as asked."""


class InsufficientMemoryError(EngineError, MemoryError):
    """A model, or its training, does not fit into the memory that is free; known before it was tried."""

    def __init__(self, message: str, *, needed_bytes: int | None = None, free_bytes: int | None = None) -> None:
        super().__init__(message)
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class JobError(FinetuneKitError, RuntimeError):
    """One job did not do what it was asked."""

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message, job_id=job_id)

    job_id: str | None


class JobFailedError(JobError):
    """The job ended as failed; the message holds the engine's or the host's reason."""


class JobCancelledError(JobError):
    """The job ended as cancelled."""


class JobNotFinishedError(JobError):
    """The job is asked for something that only a finished job has."""


class WaitTimeoutError(JobError, builtins.TimeoutError):
    """The caller's patience ended; the job goes on."""

    retryable = True


class Detached(KeyboardInterrupt):
    """Ctrl-C while waiting: the job goes on. It is a `KeyboardInterrupt`, so that no `except Exception` swallows it."""

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), str(self), dict(self.__dict__))


class ShutdownWarning(UserWarning):
    """The model will be shut down, or take no new training, within 90 days."""

    def __init__(self, message: str, *, model: str | None = None) -> None:
        super().__init__(message)
        self.model = model
