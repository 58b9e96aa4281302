"""The door of the simulated host: keys, faults and the record of what was asked."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping
from email.utils import formatdate
from math import inf
from secrets import compare_digest
from urllib.parse import parse_qs

from finetune_kit.testing.simulator.asgi import (
    Application,
    Exchange,
    Gone,
    Message,
    Receive,
    Scope,
    Send,
    capture,
    send_reply,
)
from finetune_kit.testing.simulator.faults import SILENT, Fault, FaultScript
from finetune_kit.testing.simulator.jobs import JobBook
from finetune_kit.testing.simulator.log import RecordedRequest, RequestLog
from finetune_kit.testing.simulator.misbehaving import misbehave
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Answer

CONTROL = "/_simulator"
_OLD_AZURE = "/openai"


class Gate:
    """Lets a request through to the routes, or does to it what the faults say."""

    def __init__(
        self,
        book: JobBook,
        *,
        key: str,
        faults: FaultScript,
        log: RequestLog,
        routes: Application,
        control: Application,
        cut: Callable[[object], None],
    ) -> None:
        self._book, self._desk, self._key = book, book.desk, key
        self._faults, self._log = faults, log
        self._routes, self._control, self._cut = routes, control, cut
        self._chance = random.Random("gate")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        path: str = scope["path"]
        below, refusal = self._below(path, scope)
        if below is None:
            below = path
        sent = _key_of(scope)
        refusal = refusal or self._refused(sent)
        if path.startswith(CONTROL):
            application = self._control if refusal is None else _refuser(refusal)
            await application(scope, receive, send)
            return
        if refusal is not None:
            application = _refuser(refusal)
            hitting: list[Fault] = []
        else:
            application, hitting = self._routes, self._faults.hitting(scope["method"], below)
        record = self._log.add(
            RecordedRequest(
                method=scope["method"],
                path=below,
                query=scope["query_string"].decode("latin-1"),
                at=self._desk.now(),
                faults=tuple(fault.kind for fault in hitting),
            )
        )
        exchange = Exchange({**scope, "path": below}, receive, self._dressed(send, record))
        with contextlib.suppress(Gone):
            await self._answer(exchange, application, hitting, sent=sent)

    async def _answer(self, exchange: Exchange, application: Application, hitting: list[Fault], *, sent: str) -> None:
        for fault in hitting:
            if fault.kind == "clock_skew":
                self._desk.skew_seconds = fault.seconds
        silent = [fault for fault in hitting if fault.kind in SILENT]
        if any(fault.kind != "clock_skew" for fault in silent):
            application = self._haunted(application, silent)
        loud = next((fault for fault in hitting if fault.kind not in SILENT), None)
        if loud is None:
            await application(exchange.scope, exchange.receive, exchange.send)
            return

        def cut() -> None:
            self._cut(exchange.scope["client"])

        await misbehave(loud, application, exchange, cut=cut, chance=self._chance, key=sent)

    def _haunted(self, application: Application, silent: list[Fault]) -> Application:
        """Something is wrong with the job that the request creates."""

        async def haunted(scope: Scope, receive: Receive, send: Send) -> None:
            with self._desk.lock:
                before = {job.id for job in self._book.all()}
            answer = await capture(application, scope, receive)
            with self._desk.lock:
                for job in self._book.all():
                    if job.id not in before:
                        for fault in silent:
                            if fault.kind == "stuck":
                                job.held_at = fault.at
                            else:
                                job.listed_from = self._desk.now() + (fault.seconds or inf)
            await answer.send(send)

        return haunted

    def _below(self, path: str, scope: Scope) -> tuple[str | None, Refusal | None]:
        """What the path is below the base URL."""
        if path.startswith(CONTROL):
            return path, None
        azure = self._desk.flavour.azure
        base = "/openai/v1" if azure else "/v1"
        if path.startswith(f"{base}/"):
            below = path.removeprefix(base)
            if not (azure and below.startswith("/uploads")):  # Azure has them only on its older paths
                return below, None
        elif azure and path.startswith(f"{_OLD_AZURE}/"):
            if b"api-version=" in scope["query_string"]:
                return path.removeprefix(_OLD_AZURE), None
            return None, Refusal(404, "Resource not found", kind=None, code="404")
        return None, Refusal.no_route(scope["method"], path)

    def _refused(self, sent: str) -> Refusal | None:
        if compare_digest(sent.encode(), self._key.encode()):
            return None
        if self._desk.flavour.azure:
            return Refusal.wrong_azure_key()
        return Refusal.wrong_key(sent) if sent else Refusal.no_key()

    def _dressed(self, send: Send, record: RecordedRequest) -> Send:
        """Adds the headers that every answer has, and writes down its status."""

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
                message["headers"] = [*message["headers"], *self._headers()]
            await send(message)

        return dressed

    def _headers(self) -> list[tuple[bytes, bytes]]:
        with self._desk.lock:
            date = formatdate(self._desk.now(), usegmt=True)
            request_id = self._desk.names.hexadecimal("req_")
        return [(b"date", date.encode()), (b"x-request-id", request_id.encode()), (b"server", b"simulator")]


def _key_of(scope: Scope) -> str:
    headers: Mapping[bytes, bytes] = dict(scope["headers"])
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    if bearer.lower().startswith("bearer "):
        return bearer[7:].strip()
    return headers.get(b"api-key", b"").decode("latin-1")


def _refuser(refusal: Refusal) -> Application:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        answer = Answer(refusal.body(), status=refusal.status, headers=refusal.headers)
        await send_reply(answer, send, headers={})

    return refuse


def query_of(scope: Scope) -> dict[str, str]:
    """The query's parameters, each once."""
    parsed = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return {name: values[-1] for name, values in parsed.items()}
