"""Questions to a host, sent by a client of the openai package: once, or a few times where nothing can be doubled."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from finetune_kit._clock import clock
from finetune_kit._retry import Retries
from finetune_kit.backends.hosted.asked import Ask
from finetune_kit.backends.hosted.clients import openai
from finetune_kit.backends.hosted.mapping import Host, mapped, odd
from finetune_kit.errors import FinetuneKitError, RequestRefusedError
from finetune_kit.records import JsonValue

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from finetune_kit.backends.hosted.clients import AnyClient

JsonObject: TypeAlias = dict[str, JsonValue]

READ_SECONDS = 60.0
"""How long a question about an object may take."""
SHORTLY = Retries(attempts=3, deadline_seconds=6.0, first_pause_seconds=0.5, longest_pause_seconds=2.0)
"""Whoever is to wait longer is told so; the one who asks knows how long there is."""


_PIECE_BYTES = 1 << 18
_PAGE = "answered with a page of HTML: a proxy's, or another address than its API's"


class Reply(Protocol):
    """A response of httpx or httpx2."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Blind to letter case."""
        ...

    @property
    def content(self) -> bytes:
        """The whole body."""
        ...


@dataclass(slots=True)
class HostClock:
    """How far a host's clock is from this machine's."""

    seconds_ahead: float | None = None

    def now(self) -> datetime | None:
        """What it shows; None before the first answer that tells."""
        if self.seconds_ahead is None:
            return None
        return datetime.fromtimestamp(clock().now() + self.seconds_ahead, UTC)

    def heard(self, reply: object) -> None:
        """Look at the date of an answer."""
        headers = cast("Mapping[str, str]", getattr(reply, "headers", None) or {})
        try:
            told = parsedate_to_datetime(headers.get("date") or "")
            self.seconds_ahead = told.timestamp() - clock().now()
        except (ValueError, TypeError, OverflowError):
            return


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one host."""

    client: OpenAI
    host: Host
    clock: HostClock = field(default_factory=HostClock)

    def object(self, ask: Ask) -> JsonObject:
        """The object that a host answers with, asked once."""
        return read_object(self.reply(ask), ask, self.host)

    def read(self, ask: Ask) -> JsonObject:
        """The same for a question that changes nothing: asked up to three times within a few seconds."""
        return SHORTLY.call(lambda: self.object(ask))

    def content(self, ask: Ask) -> bytes:
        """A body of any kind, asked likewise."""
        return SHORTLY.call(lambda: self.reply(ask).content)

    def pieces(self, ask: Ask) -> Iterator[bytes]:
        """A body of any kind and size as it arrives, asked once."""
        streaming: dict[str, Any] = {"stream": True, "stream_cls": openai().Stream[object]}
        arguments = arguments_of(ask, self.client) | streaming
        try:
            reply: Any = getattr(self.client, ask.method.lower())(**arguments)
        except Exception as error:
            raise self.mapped(error, ask) from error
        try:
            self.clock.heard(reply)
            may_be_html = "html" in reply.headers.get("content-type", "")
            pieces: Iterator[bytes] = reply.iter_bytes(_PIECE_BYTES)
            while (piece := self._next(pieces, ask)) is not None:
                if may_be_html and piece.lstrip()[:1] == b"<":
                    raise odd(_PAGE, ask, self.host)
                may_be_html = False
                yield piece
        finally:
            reply.close()

    def _next(self, pieces: Iterator[bytes], ask: Ask) -> bytes | None:
        """The next piece, with our errors for those of the connection, and none of the reader's."""
        try:
            return next(pieces, None)
        except Exception as error:
            raise self.mapped(error, ask) from error

    def reply(self, ask: Ask) -> Reply:
        """Whatever a host answers, asked once."""
        arguments = arguments_of(ask, self.client)
        try:
            reply = cast("Reply", getattr(self.client, ask.method.lower())(**arguments))
        except Exception as error:
            raise self.mapped(error, ask) from error
        self.clock.heard(reply)
        if "html" in reply.headers.get("content-type", "") and reply.content.lstrip()[:1] == b"<":
            raise odd(_PAGE, ask, self.host)
        return reply

    def elsewhere(self, ask: Ask) -> Mapping[str, str]:
        """The headers of an answer that names another address, where that is what is asked for."""
        arguments = arguments_of(replace(ask, follows=False), self.client)
        try:
            reply = cast("Reply", getattr(self.client, ask.method.lower())(**arguments))
        except Exception as error:
            status, response = getattr(error, "status_code", None), getattr(error, "response", None)
            if not isinstance(status, int) or not 300 <= status < 400 or response is None:
                raise self.mapped(error, ask) from error
            reply = cast("Reply", response)
        self.clock.heard(reply)
        return reply.headers

    def mapped(self, error: Exception, ask: Ask) -> FinetuneKitError:
        """Our error for a foreign one."""
        self.clock.heard(getattr(error, "response", None))
        return mapped(error, ask, self.host)


@dataclass(frozen=True, slots=True)
class AsyncAsker:
    """Asks one host without blocking the event loop."""

    client: AsyncOpenAI
    host: Host

    async def object(self, ask: Ask) -> JsonObject:
        """The object that a host answers with, asked once."""
        arguments = arguments_of(ask, self.client)
        try:
            reply = cast("Reply", await getattr(self.client, ask.method.lower())(**arguments))
        except Exception as error:
            raise mapped(error, ask, self.host) from error
        return read_object(reply, ask, self.host)


def arguments_of(ask: Ask, client: AnyClient) -> dict[str, Any]:
    """Of the client's `get`, `post` and `delete`, which the openai package documents for paths it does not know."""
    options: dict[str, Any] = {}
    if ask.query:
        options["params"] = dict(ask.query)
    if ask.timeout_seconds is not None:
        options["timeout"] = _timeout(ask.timeout_seconds, client)
    arguments: dict[str, Any] = {"path": ask.path, "cast_to": response_class(), "options": options}
    if ask.body is not None:
        arguments["body"] = _sendable(ask)
    if not ask.follows:
        options["follow_redirects"] = False
    if ask.file is not None or ask.as_form:
        options["headers"] = {"Content-Type": "multipart/form-data"}
    if ask.file is not None:
        file = ask.file
        arguments["files"] = {file.field: (file.filename, file.content, file.content_type)}
    return arguments


def _timeout(seconds: float, client: AnyClient) -> object:
    """At most `seconds` for an answer; a client with less patience keeps its own, and that for a connection."""
    own: object = client.timeout
    answer: object = getattr(own, "read", own)
    connect: object = getattr(own, "connect", own)
    most = min(seconds, answer) if isinstance(answer, float | int) else seconds
    return openai().Timeout(most, connect=min(most, connect) if isinstance(connect, float | int) else most)


def _sendable(ask: Ask) -> JsonObject:
    """The body; one that is no JSON is refused before it is sent, so that nothing is in doubt."""
    body = dict(ask.body or {})
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestRefusedError(
            f"{ask.what}: it cannot be sent as JSON ({type(error).__name__}). Texts are valid Unicode, numbers finite."
        ) from None
    return body


def response_class() -> type[object]:
    """Of the openai package's transport."""
    return cast("type[object]", transport().Response)


def transport() -> Any:
    """What the openai package sends its questions by: httpx with version 2, httpx2 with version 3."""
    roots = [base.__module__.partition(".")[0] for base in openai().DefaultHttpxClient.__mro__]
    name = next(root for root in roots if root in {"httpx", "httpx2"})
    return import_module(name)


def read_object(reply: Reply, ask: Ask, host: Host) -> JsonObject:
    """The object in an answer; what is none is an error."""
    content = reply.content
    if content.lstrip()[:1] == b"<":
        raise odd(_PAGE, ask, host)
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise odd("answered with no whole JSON", ask, host) from error
    if not isinstance(found, dict):
        raise odd(f"answered with a {type(found).__name__}, not with an object", ask, host)
    return cast("JsonObject", found)
