"""A real HTTP server on loopback that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from finetune_kit import HostedBackend

KEY = "sk-test-0123456789abcdefghij"


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Message
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        found: object = json.loads(self.body)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Says:
    """One answer; `cut` closes the connection in the middle of it, `hang_up` before it."""

    body: object = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut: bool = False
    hang_up: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Answer: TypeAlias = Callable[[Asked], Says]


class ScriptedHost:
    """Answers each request with `answer`, and keeps them all in `asked`."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002 - the standard library's name

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def _serve(self) -> None:
                url = urlsplit(self.path)
                size = int(self.headers.get("content-length") or 0)
                body = self.rfile.read(size)
                asked = Asked(self.command, url.path, parse_qs(url.query), self.headers, body)
                with host.lock:
                    host.asked.append(asked)
                says = host.answer(asked)
                if says.hang_up:
                    self.close_connection = True
                    return
                content = says.content
                self.send_response(says.status)
                self.send_header("content-type", says.content_type)
                self.send_header("content-length", str(len(content) + (100 if says.cut else 0)))
                for name, value in says.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                if says.cut:
                    self.close_connection = True

            do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the standard library's names

        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def paths(self, method: str = "POST") -> list[str]:
        return [one.path.removeprefix("/v1") for one in self.asked if one.method == method]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def answering(answer: Answer | Says, *, host: str = "openai") -> Generator[tuple[HostedBackend, ScriptedHost]]:
    """A backend whose host answers so."""
    says = answer
    server = ScriptedHost((lambda _: says) if isinstance(says, Says) else says)
    try:
        with HostedBackend(KEY, server.url, host) as backend:
            yield backend, server
    finally:
        server.close()


def error(status: int, message: str = "no", *, code: str | None = None, **more: object) -> Says:
    """A refusal as OpenAI words it."""
    return Says({"error": {"message": message, "type": "error", "code": code, "param": None, **more}}, status)
