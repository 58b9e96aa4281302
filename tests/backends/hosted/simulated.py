"""Backends of a simulated host, in every way there is to reach one."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import openai

from finetune_kit import HostedBackend
from finetune_kit.testing import HostSimulator

MODEL = "any-1"
"""A base that learns from prompts and from conversations alike, as none that hosts have today."""
API_VERSION = "2024-10-21"


def hosts_with(model: str, name: str, home: Path) -> Path:
    """A file of host profiles with one more base model."""
    home.mkdir(exist_ok=True)
    path = home / "hosts.json"
    path.write_text(json.dumps({name: {"models": {model: {"source": "a test", "as_of": "2026-11-22"}}}}), "utf-8")
    return path


def by_key(host: HostSimulator, home: Path) -> HostedBackend:
    name = host.flavour.name
    return HostedBackend(host.api_key, host.base_url, name, home=home, hosts=hosts_with(MODEL, name, home))


def by_azure_version(host: HostSimulator, home: Path) -> HostedBackend:
    hosts = hosts_with(MODEL, "azure", home)
    return HostedBackend(host.api_key, host.endpoint, "azure", api_version=API_VERSION, home=home, hosts=hosts)


def by_azure_endpoint(host: HostSimulator, home: Path) -> HostedBackend:
    return HostedBackend(host.api_key, host.endpoint, "azure", home=home, hosts=hosts_with(MODEL, "azure", home))


def by_client(host: HostSimulator, home: Path) -> HostedBackend:
    client = openai.OpenAI(api_key=host.api_key, base_url=host.base_url)
    return HostedBackend(client=client, home=home, hosts=hosts_with(MODEL, "openai", home))


def by_async_client(host: HostSimulator, home: Path) -> HostedBackend:
    client = openai.AsyncOpenAI(api_key=host.api_key, base_url=host.base_url)
    return HostedBackend(client=client, home=home, hosts=hosts_with(MODEL, "openai", home))


def by_azure_client(host: HostSimulator, home: Path) -> HostedBackend:
    client = openai.AzureOpenAI(api_key=host.api_key, azure_endpoint=host.endpoint, api_version=API_VERSION)
    return HostedBackend(client=client, home=home, hosts=hosts_with(MODEL, "azure", home))


def by_async_azure_client(host: HostSimulator, home: Path) -> HostedBackend:
    client = openai.AsyncAzureOpenAI(api_key=host.api_key, azure_endpoint=host.endpoint, api_version=API_VERSION)
    return HostedBackend(client=client, home=home, hosts=hosts_with(MODEL, "azure", home))


Way = Callable[[HostSimulator, Path], HostedBackend]
OPENAI_WAYS: tuple[Way, ...] = (by_key, by_client, by_async_client)
AZURE_WAYS: tuple[Way, ...] = (
    by_key,
    by_azure_version,
    by_azure_endpoint,
    by_azure_client,
    by_async_azure_client,
)
WAYS = [("openai", way) for way in OPENAI_WAYS] + [("azure", way) for way in AZURE_WAYS]


@contextmanager
def simulated(home: Path, *, host: str = "openai", way: Way = by_key) -> Generator[tuple[HostedBackend, HostSimulator]]:
    """A host that trains `MODEL`, and a backend for it."""
    with HostSimulator(host=host, models=[MODEL]) as simulator, way(simulator, home) as backend:
        yield backend, simulator
