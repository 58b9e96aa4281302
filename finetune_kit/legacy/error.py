"""Errors under their names of 2023, so that `except openai.error.RateLimitError` still works; ours is the cause."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from finetune_kit import errors
from finetune_kit._quoting import quoted
from finetune_kit.errors import FinetuneKitError


class OpenAIError(FinetuneKitError):
    """The root of the old names."""

    def __init__(  # noqa: PLR0917 - as it was
        self,
        message: str | None = None,
        http_body: object = None,
        http_status: int | None = None,
        json_body: object = None,
        headers: Mapping[str, str] | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(
            message or "<empty message>",
            http_body=http_body,
            http_status=http_status,
            json_body=json_body,
            headers=dict(headers or {}),
            code=code,
            param=None,
            request_id=None,
            organization=None,
            should_retry=False,
        )

    http_status: int | None
    """The status that the old API had for it, or the host's own where there was one."""
    code: str | None
    param: str | None
    """The argument that was wrong, where one was."""
    headers: dict[str, str]
    should_retry: bool

    @property
    def user_message(self) -> str:
        """The message, as it was called then."""
        return str(self)

    @property
    def error(self) -> None:
        """The error object of an HTTP reply; there is none any more."""


class APIError(OpenAIError):
    """The host, or the engine on this machine, could not do it, or answered with nonsense."""


class TryAgain(OpenAIError):  # noqa: N818 - its name
    """Never raised any more; it stays for those who catch it."""


class Timeout(OpenAIError):  # noqa: N818 - its name
    """The caller's patience ended, or the host's answer did not come in time."""


class APIConnectionError(OpenAIError):
    """No answer."""


class InvalidRequestError(OpenAIError):
    """An argument, a file or an id is wrong; `param` says which."""

    def __init__(  # noqa: PLR0917 - as it was
        self,
        message: str | None = None,
        param: str | None = None,
        code: str | None = None,
        http_body: object = None,
        http_status: int | None = None,
        json_body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message, http_body, http_status, json_body, headers, code)
        self.param = param


class AuthenticationError(OpenAIError):
    """The API key is missing, wrong or revoked."""


class PermissionError(OpenAIError):  # noqa: A001 - its name
    """The key is good, but not for this; hosts that take no new training say so by it."""


class RateLimitError(OpenAIError):
    """Too many requests or waiting jobs, or (`code` is `insufficient_quota`) the account's money is used up."""


class ServiceUnavailableError(OpenAIError):
    """The host says that it is overloaded."""


class InvalidAPIType(OpenAIError):  # noqa: N818 - its name
    """`api_type` names a way in that cannot be taken."""


class SignatureVerificationError(OpenAIError):
    """Never raised any more; it stays for those who catch it."""


_OLD_NAMES: tuple[tuple[type[FinetuneKitError], type[OpenAIError], int | None], ...] = (
    (errors.AuthenticationError, AuthenticationError, 401),
    (errors.AccessError, PermissionError, 403),
    (errors.RateLimitError, RateLimitError, 429),
    (errors.QuotaError, RateLimitError, 429),
    (errors.UnknownModelError, InvalidRequestError, 404),
    (errors.JobNotFoundError, InvalidRequestError, 404),
    (errors.UnknownFileError, InvalidRequestError, 404),
    (errors.ModelClosedError, InvalidRequestError, 404),
    (errors.FileRejectedError, InvalidRequestError, 400),
    (errors.RequestRefusedError, InvalidRequestError, 400),
    (errors.BackendError, APIError, None),
    (errors.WaitTimeoutError, Timeout, None),
    (errors.JobError, InvalidRequestError, 400),
    (errors.DataError, InvalidRequestError, 400),
    (errors.ParameterError, InvalidRequestError, 400),
    (errors.BudgetError, InvalidRequestError, 400),
    (errors.SplitError, InvalidRequestError, 400),
    (errors.TemplateError, InvalidRequestError, 400),
    (FinetuneKitError, APIError, None),
)
"""The first that fits counts."""


_TUNED_THEN = re.compile(r"(?:ada|babbage|curie|davinci):ft-.+")


def translated(error: FinetuneKitError, message: str | None = None) -> OpenAIError:
    """`error` under its old name, in other words where they are given."""
    told = message or str(error)
    if isinstance(error, errors.UnknownModelError) and error.model is not None and _TUNED_THEN.fullmatch(error.model):
        told = (
            f"{quoted(error.model)} was fine-tuned by the API that ended on 2024-01-04, and is nowhere any more. Train "
            "its data anew: FineTune.create(training_file=...)."
        )
    if isinstance(error, errors.EncodingError) and "encoding=" in told:
        told += " The old calls take no encoding: save the file as UTF-8 for them."
    if isinstance(error, errors.HostUnavailableError):
        made = _unanswered(error)
    else:
        name, status = next((name, status) for kind, name, status in _OLD_NAMES if isinstance(error, kind))
        made = name(told, http_status=status)
    made.retryable = made.should_retry = error.retryable
    made.code = "insufficient_quota" if isinstance(error, errors.QuotaError) else getattr(error, "code", None)
    made.param = getattr(error, "parameter", None)
    return made


def _unanswered(error: errors.HostUnavailableError) -> OpenAIError:
    names = {None: APIConnectionError, 408: Timeout, 503: ServiceUnavailableError, 504: Timeout}
    return names.get(error.status, APIError)(str(error), http_status=error.status)


@contextmanager
def old_names() -> Generator[None]:
    """Whatever of ours is raised within leaves under its old name."""
    try:
        yield
    except OpenAIError:
        raise
    except FinetuneKitError as error:
        raise translated(error) from error
