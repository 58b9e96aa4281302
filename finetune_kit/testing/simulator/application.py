"""The routes as an ASGI application, by Starlette."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from finetune_kit.errors import FinetuneKitError
from finetune_kit.testing.simulator.asgi import Application, Receive, Scope, Send, body_chunks, send_reply
from finetune_kit.testing.simulator.gate import query_of
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Answer, Call, Handler, Reply


def routed(handlers: Mapping[tuple[str, str], Handler]) -> Application:
    """All calls of a host."""
    from starlette.routing import Route, Router

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        await send_reply(_answer_of(Refusal.no_route(scope["method"], scope["path"])), send, headers={})

    routes = [
        Route(path.replace("{model}", "{model:path}"), _Endpoint(handler), methods=[method])
        for (method, path), handler in handlers.items()
    ]
    return cast("Application", Router(routes, redirect_slashes=False, default=nowhere))


class _Endpoint:
    """One call, as an application of its own."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_reply(await self._reply(scope, receive), send, headers={})

    async def _reply(self, scope: Scope, receive: Receive) -> Reply:
        call = Call(
            method=scope["method"],
            path=scope["path"],
            names=scope["path_params"],
            query=query_of(scope),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            chunks=lambda: body_chunks(receive),
        )
        try:
            return await self._handler(call)
        except Refusal as refusal:
            return _answer_of(refusal)
        except FinetuneKitError as error:  # from the backend that stands behind the host
            return _answer_of(Refusal(500, str(error), kind="server_error"))


def _answer_of(refusal: Refusal) -> Answer:
    return Answer(refusal.body(), status=refusal.status, headers=refusal.headers)
