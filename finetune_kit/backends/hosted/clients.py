"""Clients of the openai package: made from settings, or taken as given, and each with a twin for asyncio."""

from __future__ import annotations

import os
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from finetune_kit._arguments import string
from finetune_kit.backends.hosted.credentials import checked_address, key_for, login_in, shown_address, without_login
from finetune_kit.backends.hosted.texts import PRIVATE_HEADERS, told
from finetune_kit.errors import BackendError, ParameterError
from finetune_kit.hosts import HostProfile

if TYPE_CHECKING:
    from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

    AnyClient: TypeAlias = OpenAI | AzureOpenAI | AsyncOpenAI | AsyncAzureOpenAI

_V1 = "/openai/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to reach a host."""

    profile: HostProfile
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    api_version: str | None = None
    organization: str | None = None
    project: str | None = None
    timeout_seconds: float | None = None

    @property
    def address(self) -> str:
        """Where the host's API answers; `ParameterError` where nobody says."""
        given = None if self.base_url is None else string("base_url", self.base_url).strip()
        if given == "":
            raise ParameterError("base_url is empty: pass the host's address, or leave it out.", parameter="base_url")
        found = given or (os.environ.get("OPENAI_BASE_URL") if self.profile.name == "openai" else None)
        if self.profile.api == "azure":
            found = found or os.environ.get("AZURE_OPENAI_ENDPOINT")
        found = (
            found or next(filter(None, map(os.environ.get, self.profile.address_keys)), None) or self.profile.base_url
        )
        if not found:
            azure = ", or set AZURE_OPENAI_ENDPOINT" if self.profile.api == "azure" else ""
            raise ParameterError(
                f"the host {self.profile.name!r} has an address for each account: pass base_url={azure}.",
                parameter="base_url",
            )
        found = checked_address(found).rstrip("/")
        path = self.profile.api_path
        if path:
            return found.removesuffix(path).removesuffix(self.profile.jobs_path) + path
        return found if self.profile.api != "azure" or self._dated(found) or found.endswith(_V1) else found + _V1

    def _dated(self, address: str) -> bool:
        """Whether paths hold deployments and the query an `api-version`, as before Azure's `/openai/v1`."""
        return self.profile.api == "azure" and not address.endswith(_V1) and self._version is not None

    @property
    def _version(self) -> str | None:
        return (
            self.api_version or (os.environ.get("OPENAI_API_VERSION") if self.profile.api == "azure" else None) or None
        )

    def client(self) -> OpenAI:
        """A client for calls that block."""
        return cast("OpenAI", self._make("AzureOpenAI" if self._dated(self.address) else "OpenAI"))

    def async_client(self) -> AsyncOpenAI:
        """The same for asyncio."""
        return cast("AsyncOpenAI", self._make("AsyncAzureOpenAI" if self._dated(self.address) else "AsyncOpenAI"))

    def _make(self, kind: str) -> object:
        address, login = without_login(self.address), login_in(self.address)
        more: dict[str, object] = {} if self.timeout_seconds is None else {"timeout": self.timeout_seconds}
        if self._dated(address):
            root = address if address.endswith("/openai") else f"{address}/openai"
            more |= {"api_version": self._version, "base_url": root}
        else:
            more |= {"base_url": address}
            if self.api_version is not None:
                more["default_query"] = {"api-version": self.api_version}
        if login is not None:  # in the address, the transport would log it
            more["default_headers"] = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"}
        key, make = key_for(self.profile, self.api_key), getattr(openai(), kind)
        try:
            return make(api_key=key, organization=self.organization, project=self.project, max_retries=0, **more)
        except (ImportError, OSError, ValueError) as error:  # of proxies and certificates that the environment names
            raise BackendError(
                f"no connection to {shown_address(address)} can be prepared: {told(str(error), (key,))}. Check the "
                "environment's variables for proxies and certificates, such as HTTPS_PROXY and SSL_CERT_FILE."
            ) from error


def openai() -> Any:
    """The package, imported on use."""
    return import_module("openai")


def is_async(client: AnyClient) -> bool:
    """Whether it is a client for asyncio."""
    return isinstance(client, openai().AsyncOpenAI)


def checked(client: object) -> AnyClient:
    """`client`, if it is one of the four."""
    kinds: tuple[type[object], ...] = (openai().OpenAI, openai().AsyncOpenAI)
    if not isinstance(client, kinds):
        raise ParameterError(
            f"client={type(client).__name__} is no client of the openai package: pass OpenAI, AzureOpenAI, AsyncOpenAI "
            "or AsyncAzureOpenAI.",
            parameter="client",
        )
    return cast("AnyClient", client)


def without_retries(client: AnyClient) -> AnyClient:
    """The same client, sharing its connections, that asks once: a job must not be created twice."""
    return client.with_options(max_retries=0)


def twin(client: AnyClient) -> AnyClient | None:
    """A client with the same settings for the other way to call, or None where they cannot be carried over.

    What a client of its own transport, or a function that must be awaited for a key, does, the other cannot do.
    """
    settings = cast("Mapping[str, Any]", vars(client))
    default = "SyncHttpxClientWrapper", "AsyncHttpxClientWrapper"
    if type(settings["_client"]).__name__ not in default:
        return None
    if settings.get("_api_key_provider") is not None or settings.get("_workload_identity_auth") is not None:
        return None
    azure = isinstance(client, (openai().AzureOpenAI, openai().AsyncAzureOpenAI))
    if azure and settings.get("_azure_ad_token_provider") is not None:
        return None
    kind = ("" if is_async(client) else "Async") + ("AzureOpenAI" if azure else "OpenAI")
    more: dict[str, object] = {}
    if azure:
        token = settings.get("_azure_ad_token")
        more = {"api_version": settings["_api_version"], "azure_ad_token": token}
    return cast(
        "AnyClient",
        getattr(openai(), kind)(
            api_key=None if more.get("azure_ad_token") else client.api_key,
            base_url=str(client.base_url),
            organization=client.organization,
            project=client.project,
            timeout=client.timeout,
            max_retries=0,
            default_headers=dict(settings["_custom_headers"]),
            default_query=dict(settings["_custom_query"]),
            **more,
        ),
    )


def lasting_secret_of(client: AnyClient) -> str:
    """The key that an account is known by; tokens that change by the hour are none."""
    changing = vars(client).get("_api_key_provider") is not None
    return "" if changing else client.api_key or ""


def secrets_of(client: AnyClient) -> tuple[str, ...]:
    """What a client knows and must not be shown."""
    headers = cast("Mapping[str, object]", vars(client).get("_custom_headers") or {})
    private = [str(value).rpartition(" ")[2] for name, value in headers.items() if name.lower() in PRIVATE_HEADERS]
    found = (client.api_key, vars(client).get("_azure_ad_token"), *private)
    return tuple(one for one in found if isinstance(one, str) and one)
