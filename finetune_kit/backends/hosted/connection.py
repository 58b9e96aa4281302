"""How one backend reaches its host: the profile, the account, and clients that are made when they are first used."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import AsyncGenerator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from finetune_kit._arguments import number, string
from finetune_kit.backends.hosted.answering import AsyncAnswers
from finetune_kit.backends.hosted.asking import Asker, AsyncAsker
from finetune_kit.backends.hosted.calls import Habits
from finetune_kit.backends.hosted.clients import (
    Settings,
    checked,
    is_async,
    lasting_secret_of,
    openai,
    secrets_of,
    twin,
    without_retries,
)
from finetune_kit.backends.hosted.credentials import fingerprint, password_in, shown_address
from finetune_kit.backends.hosted.mapping import Host
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import HostProfile, host_profile

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from finetune_kit.backends.hosted.clients import AnyClient

_AZURE_HOST = ".openai.azure.com"


@dataclass(kw_only=True, repr=False, eq=False)
class Connection:
    """What `HostedBackend` was given, and what is made of it."""

    api_key: str | None
    base_url: str | None
    host: str
    given: AnyClient | None
    api_version: str | None
    organization: str | None
    project: str | None
    timeout_seconds: float | None
    hosts: str | os.PathLike[str] | None
    habits: Habits = field(default_factory=Habits)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _async_clients: dict[asyncio.AbstractEventLoop, _Opened] = field(
        default_factory=dict["asyncio.AbstractEventLoop", "_Opened"]
    )
    _asker: Asker | None = None

    @cached_property
    def profile(self) -> HostProfile:
        """The host's; a client for Azure speaks to Azure."""
        azure = self.host == "openai" and self._client is not None and self._is_azure(self._client)
        profile = host_profile("azure" if azure else self.host, hosts=self.hosts)
        if not profile.runs_jobs:
            raise ParameterError(
                f"host={self.host!r} has an API of its own, which the openai package does not speak. "
                "Choose another host, or put a proxy with the OpenAI API before it.",
                parameter="host",
            )
        return profile

    @cached_property
    def _client(self) -> AnyClient | None:
        return None if self.given is None else without_retries(checked(self.given))

    @cached_property
    def settings(self) -> Settings:
        """For clients of our own."""
        return Settings(
            profile=self.profile,
            api_key=self.api_key,
            base_url=self.base_url,
            api_version=self.api_version,
            organization=None if self.organization is None else string("organization", self.organization),
            project=None if self.project is None else string("project", self.project),
            timeout_seconds=None
            if self.timeout_seconds is None
            else number("timeout_seconds", self.timeout_seconds, 0.001, sys.float_info.max),
        )

    @property
    def shown(self) -> str:
        """The host's address, fit to be shown."""
        return shown_address(self.settings.address if self._client is None else str(self._client.base_url))

    @cached_property
    def account(self) -> str:
        """Whose files and jobs these are."""
        client = self.asker.client
        who = fingerprint(lasting_secret_of(client), client.organization or "", client.project or "")
        return f"{self.profile.name} {self.shown} {who}"

    @property
    def asker(self) -> Asker:
        """Asks the host, from any thread."""
        with self._lock:
            if self._asker is None:
                client = self._sync_client()
                self._asker = Asker(client, self._host(client))
            return self._asker

    def async_answers(self) -> AsyncAnswers | None:
        """Asks the host's models in the running event loop; None where only the other way is possible."""
        client = self._client
        if client is not None and is_async(client):
            return AsyncAnswers(AsyncAsker(cast("AsyncOpenAI", client), self._host(client)), self.habits)
        loop = asyncio.get_running_loop()
        with self._lock:
            for ended in [one for one in self._async_clients if one.is_closed()]:
                del self._async_clients[ended]
            if loop not in self._async_clients:
                made = self.settings.async_client() if client is None else cast("AsyncOpenAI | None", twin(client))
                if made is None:
                    return None
                self._async_clients[loop] = _Opened(made)
            made = self._async_clients[loop].client
        return AsyncAnswers(AsyncAsker(made, self._host(made)), self.habits)

    def close(self) -> None:
        """Close what was opened here."""
        with self._lock:
            if self._asker is not None and not (self._client is not None and not is_async(self._client)):
                self._asker.client.close()

    async def close_async(self) -> None:
        """Close what was opened here, in this event loop too."""
        self.close()
        made = self._async_clients.pop(asyncio.get_running_loop(), None)
        if made is not None:
            await made.close()

    def _sync_client(self) -> OpenAI:
        client = self._client
        if client is not None and not is_async(client):
            return cast("OpenAI", client)
        made = self.settings.client() if client is None else cast("OpenAI | None", twin(client))
        if made is None:
            raise ParameterError(
                f"client={type(client).__name__} has a transport or a key of its own that only asyncio can use. Pass "
                f"{type(client).__name__.removeprefix('Async')} with the same settings instead.",
                parameter="client",
            )
        weakref.finalize(self, made.close)  # whoever forgets to close it leaves no open sockets behind
        return made

    def _host(self, client: AnyClient) -> Host:
        address = self.settings.address if self._client is None else str(client.base_url)
        secrets = (*secrets_of(client), *password_in(address))
        return Host(self.profile, shown_address(str(client.base_url)), secrets)

    @staticmethod
    def _is_azure(client: AnyClient) -> bool:
        named = (urlsplit(str(client.base_url)).hostname or "").endswith(_AZURE_HOST)
        return named or isinstance(client, (openai().AzureOpenAI, openai().AsyncAzureOpenAI))


class _Opened:
    """A client that lasts as long as the running event loop, whether or not somebody closes it.

    A loop in its last moments closes the asynchronous generators that were begun in it, and this one the client:
    `asyncio.run` for each call would otherwise leave a connection behind each time.
    """

    def __init__(self, client: AsyncOpenAI) -> None:
        self.client = client
        self._until_closed = _until_closed(client)
        with suppress(StopIteration):  # which is how a generator that need not wait comes to its `yield`
            self._until_closed.__anext__().send(None)

    async def close(self) -> None:
        """Close it now."""
        await self._until_closed.aclose()


async def _until_closed(client: AsyncOpenAI) -> AsyncGenerator[None]:
    try:
        yield
    finally:
        await client.close()
