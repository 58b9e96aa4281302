"""The one place where foreign errors become ours: whatever the openai package and its transport raise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias, cast

from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.retry_after import retry_after_seconds
from finetune_kit.backends.hosted.statuses import Refusal, refused
from finetune_kit.backends.hosted.texts import HIDDEN, PRIVATE_HEADERS, told
from finetune_kit.errors import (
    AuthenticationError,
    FinetuneKitError,
    HostReplyError,
    HostUnavailableError,
    RequestRefusedError,
    UnclearOutcomeError,
)
from finetune_kit.hosts import HostProfile

# By name, since openai 2 stands on httpx, openai 3 on httpx2, and a user's own client on either.
_NOT_SENT = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "LocalProtocolError",
        "InvalidURL",
    }
)
_CONNECTION = frozenset(
    {
        "APIConnectionError",
        "TransportError",
        "TooManyRedirects",
        "StreamError",
        "WebSocketConnectionClosedError",
        "WebSocketQueueFullError",
        *_NOT_SENT,
    }
)
_TIMEOUTS = frozenset({"APITimeoutError", "TimeoutException"})
_CREDENTIALS = frozenset({"SubjectTokenProviderError", "OAuthError", "MutuallyExclusiveAuthError"})
_CONTENT_FILTER = frozenset({"ContentFilterFinishReasonError"})
_CREDENTIAL_WORDS = ("api_key", "api key", "credential", "authentication method", "azure_ad_token")

Known: TypeAlias = Iterable[str]


@dataclass(frozen=True, slots=True)
class Host:
    """Who was asked, for messages."""

    profile: HostProfile
    address: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not be shown, whoever says it."""


def mapped(error: Exception, ask: Ask, host: Host) -> FinetuneKitError:  # noqa: PLR0911 - one for each kind
    """Ours for `error`, which is to become its cause; what is foreign is cleaned of secrets on the way."""
    if isinstance(error, FinetuneKitError):
        return error
    scrub(error, host.secrets)
    kinds = _kinds(error)
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and status >= 300 and not kinds & _CREDENTIALS:
        return refused(_refusal(error, status), ask, host.profile, host.address)
    words = told(str(error), host.secrets)
    if isinstance(error, UnicodeEncodeError):
        return RequestRefusedError(f"{ask.what}: a text in it is no valid Unicode and cannot be sent ({words}).")
    if kinds & _CREDENTIALS or (_is_bare(error, kinds) and any(word in words.lower() for word in _CREDENTIAL_WORDS)):
        return AuthenticationError(f"{ask.what}: no valid credentials for {host.address}: {words}")
    if kinds & _CONTENT_FILTER:
        return RequestRefusedError(f"{ask.what}: {words}", code="content_filter")
    if kinds & _CONNECTION or isinstance(error, OSError) or kinds & _TIMEOUTS:
        return _no_answer(error, kinds, ask, host)
    if isinstance(error, RuntimeError) and "closed" in words:
        return HostUnavailableError(f"{ask.what}: this backend was closed. Make another one.", sent=False)
    return _odd_answer(f"{ask.what}: {host.address} answered with something else than its API promises ({words})", ask)


def odd(reason: str, ask: Ask, host: Host) -> FinetuneKitError:
    """The error for an answer that came whole, and is not what the API promises."""
    return _odd_answer(f"{ask.what}: {host.address} {reason}", ask)


def _odd_answer(message: str, ask: Ask) -> FinetuneKitError:
    if ask.creates:
        return UnclearOutcomeError(f"{message}. Whether {ask.creates} was created is not known.")
    return HostReplyError(f"{message}.")


def _no_answer(error: Exception, kinds: frozenset[str], ask: Ask, host: Host) -> FinetuneKitError:
    sent = not any(_kinds(one) & _NOT_SENT for one in _chain(error))
    reason = _reason(error, host.secrets)
    if not sent:
        return HostUnavailableError(
            f"{ask.what}: no connection to {host.address} ({reason}). Check the network and the address.", sent=False
        )
    happened = "gave no answer in time" if kinds & _TIMEOUTS else "broke off the connection"
    if ask.creates:
        return UnclearOutcomeError(
            f"{ask.what}: {host.address} {happened} ({reason}). Whether {ask.creates} was created is not known."
        )
    return HostUnavailableError(f"{ask.what}: {host.address} {happened} ({reason}).")


def _refusal(error: Exception, status: int) -> Refusal:
    body: object = getattr(error, "body", None)
    outer = _members(body)
    found = _members(outer.get("error")) or outer
    headers: object = getattr(getattr(error, "response", None), "headers", None)
    message = next((one for key in ("message", "detail", "msg", "error") if isinstance(one := found.get(key), str)), "")
    return Refusal(
        status=status,
        code=_word(found.get("code")),
        kind=_word(found.get("type")),
        parameter=_word(found.get("param")),
        message=message or _body_text(body) or str(error),
        retry_after_seconds=retry_after_seconds(cast("Mapping[str, str]", headers)) if headers is not None else None,
    )


def _members(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _body_text(body: object) -> str:
    """What a host says in plain text; of a page of HTML, only that it was one."""
    if not isinstance(body, str):
        return ""
    return "a page of HTML" if body.lstrip()[:1] == "<" else body


def _word(value: object) -> str:
    return told(str(value), limit=100) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _is_bare(error: Exception, kinds: frozenset[str]) -> bool:
    """Whether it was raised before anything was asked."""
    return "OpenAIError" in kinds or isinstance(error, TypeError | ValueError)


def _kinds(error: BaseException) -> frozenset[str]:
    return frozenset(one.__name__ for one in type(error).__mro__)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = at.__cause__ or at.__context__


def _reason(error: Exception, known: Known) -> str:
    """The innermost words, which name what really happened; the outer ones say "Connection error."."""
    texts = [told(str(one), known, limit=200) or type(one).__name__ for one in _chain(error)]
    return texts[-1].rstrip(".") if texts else ""


def scrub(error: BaseException, known: Known) -> None:
    """Take secrets out of the texts of `error` and what caused it, which a traceback would show."""
    for one in _chain(error):
        _hide_headers(one)
        one.args = tuple(told(arg, known, limit=2000) if isinstance(arg, str) else arg for arg in one.args)
        for name in ("message", "body"):
            value: object = getattr(one, name, None)
            if isinstance(value, str | Mapping):
                with suppress(AttributeError):  # read-only
                    setattr(one, name, _scrubbed(cast("object", value), known))


def _hide_headers(error: BaseException) -> None:
    """Whoever logs or pickles the cause of an error would write down the key that its request was sent with."""
    response = getattr(error, "response", None)
    for owner in (error, response, *(getattr(response, "history", None) or ())):
        with suppress(RuntimeError):  # some know no request, and say so
            headers: object = getattr(getattr(owner, "request", None), "headers", None)
            if isinstance(headers, MutableMapping):
                for name in PRIVATE_HEADERS.intersection(map(str.lower, cast("Mapping[str, str]", headers))):
                    headers[name] = HIDDEN


def _scrubbed(value: object, known: Known) -> object:
    if isinstance(value, str):
        return told(value, known, limit=2000)
    if isinstance(value, Mapping):
        return {key: _scrubbed(one, known) for key, one in cast("Mapping[object, object]", value).items()}
    return value
