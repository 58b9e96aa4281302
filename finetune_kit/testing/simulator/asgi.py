"""The few words of ASGI that the simulator speaks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from finetune_kit.testing.simulator.wire import Answer, Reply

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the way to its answer."""

    scope: Scope
    receive: Receive
    send: Send


class Gone(Exception):  # noqa: N818 - nobody is left who could be told of an error
    """The client has closed the connection in the middle of its request."""


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """A request's body as it arrives."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        more = bool(message.get("more_body"))
        yield message.get("body", b"")


async def until_gone(receive: Receive) -> None:
    """Wait until the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


@dataclass(frozen=True, slots=True)
class Captured:
    """A whole answer that has not been sent yet."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def changed(self, body: bytes, *, content_type: bytes | None = None) -> Captured:
        """With another body."""
        headers = [
            (name, value)
            for name, value in self.headers
            if name != b"content-length" and not (name == b"content-type" and content_type is not None)
        ]
        headers.append((b"content-length", b"%d" % len(body)))
        if content_type is not None:
            headers.append((b"content-type", content_type))
        return replace(self, headers=headers, body=body)

    async def send(self, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status, "headers": list(self.headers)})
        await send({"type": "http.response.body", "body": self.body})


async def capture(application: Application, scope: Scope, receive: Receive) -> Captured:
    """Let the application answer, and keep what it says."""
    start: Message = {"status": 500, "headers": []}
    body = bytearray()

    async def keep(message: Message) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
        else:
            body.extend(message.get("body", b""))

    await application(scope, receive, keep)
    return Captured(start["status"], start["headers"], bytes(body))


async def send_reply(reply: Reply, send: Send, *, headers: Mapping[str, str]) -> None:
    """Send a route's answer."""
    told = [(name.encode(), value.encode()) for name, value in headers.items()]
    told.append((b"content-type", reply.content_type.encode()))
    if isinstance(reply, Answer):
        told += [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
        told.append((b"content-length", b"%d" % len(reply.body)))
        await send({"type": "http.response.start", "status": reply.status, "headers": told})
        await send({"type": "http.response.body", "body": reply.body})
        return
    if reply.length is not None:
        told.append((b"content-length", b"%d" % reply.length))
    await send({"type": "http.response.start", "status": 200, "headers": told})
    for chunk in reply.chunks:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
