"""uvicorn's HTTP in a thread of its own: ready in milliseconds, gone without a trace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from typing import TYPE_CHECKING, Any

from finetune_kit import _extras
from finetune_kit.testing.simulator.asgi import until_gone

if TYPE_CHECKING:
    from finetune_kit.testing.simulator.asgi import Application, Receive, Scope, Send

_PURPOSE = "the host simulator"
_PATIENCE_SECONDS = 30

_errors = logging.getLogger("uvicorn.error").getChild("finetune_kit")
_errors.setLevel(logging.ERROR)  # what a client does wrong is in its answer; nobody's terminal need show it too


class LoopbackServer:
    """Listens on 127.0.0.1 from the moment it is made; connections wait until it is started."""

    def __init__(self, *, port: int = 0) -> None:
        for package in ("starlette", "uvicorn", "h11"):
            _extras.require(package, extra="server", purpose=_PURPOSE)
        self._socket = socket.create_server(("127.0.0.1", port), backlog=1024)
        # Connections inherit it: asyncio leaves it out for a socket that was made outside, and answers take 40 ms more.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        self._transports: dict[object, asyncio.Transport] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._ready = threading.Event()
        self._trouble: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self, application: Application) -> None:
        """Serve from now on."""
        self._thread = threading.Thread(
            target=self._run, args=(application,), name=f"host-simulator-{self.port}", daemon=True
        )
        self._thread.start()
        self._ready.wait(_PATIENCE_SECONDS)
        if self._trouble is not None:
            raise self._trouble

    def cut(self, client: object) -> None:
        """Close a client's connection at once, whatever is on its way; for the server's own thread."""
        transport = self._transports.pop(client, None)
        if transport is not None:
            transport.abort()

    def stop(self) -> None:
        """Cut all connections and end the thread."""
        if self._loop is not None and self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)
        if self._thread is not None:
            self._thread.join(_PATIENCE_SECONDS)
            self._thread = None
        self._socket.close()

    def _run(self, application: Application) -> None:
        try:
            asyncio.run(self._serve(application))
        except BaseException as error:  # noqa: BLE001 - the thread that waits for it raises it
            self._trouble = error
        finally:
            self._ready.set()

    async def _serve(self, application: Application) -> None:
        from h11 import ProtocolError
        from uvicorn.config import Config
        from uvicorn.protocols.http.h11_impl import H11Protocol
        from uvicorn.server import ServerState

        transports = self._transports

        class Watched(H11Protocol):
            """Lets its connection be cut, and ends it quietly where a client does not speak HTTP."""

            def __init__(self, **settings: Any) -> None:
                super().__init__(**settings)
                self.logger = _errors

            def data_received(self, data: bytes) -> None:
                try:
                    super().data_received(data)
                except ProtocolError:  # it breaks the rules when its answer is on the way already
                    self.transport.abort()

            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                transports[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                transports.pop(self.client, None)
                super().connection_lost(exc)

        async def answered(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await application(scope, receive, send)
            except ProtocolError:  # the client has been told already that its body is none
                await until_gone(receive)

        config = Config(
            answered,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            date_header=False,
            server_header=False,
            timeout_keep_alive=75,
        )
        config.load()
        state = ServerState()
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        server = await self._loop.create_server(
            lambda: Watched(config=config, server_state=state, app_state={}), sock=self._socket
        )
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for transport in list(transports.values()):
            transport.abort()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted connections are told so
