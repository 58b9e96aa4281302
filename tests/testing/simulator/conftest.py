"""A simulated host for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai import OpenAI

from finetune_kit.testing import HostSimulator
from tests.testing.simulator.clients import client_of


@pytest.fixture
def host() -> Iterator[HostSimulator]:
    with HostSimulator() as host:
        yield host


@pytest.fixture
def client(host: HostSimulator) -> Iterator[OpenAI]:
    with client_of(host) as client:
        yield client
