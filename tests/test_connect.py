"""Which backend a call without one goes to."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from finetune_kit.backends import HostedBackend, LocalBackend, connect
from finetune_kit.client import ModelClient
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import host_profiles
from finetune_kit.testing import MemoryBackend

VARIABLE = "FINETUNE_KIT_BACKEND"
KEY = "sk-not-a-real-key-0123456789"


def place(backend: object) -> str:
    assert isinstance(backend, HostedBackend)
    return repr(backend)


def test_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    backend = MemoryBackend()
    assert connect(backend) is backend


@pytest.mark.parametrize("value", [None, "", " ", "local"])
def test_else_the_engine_on_this_machine(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert isinstance(connect(), LocalBackend)


def test_the_variable_keeps_all_on_this_machine_whatever_keys_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "local")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert isinstance(connect(), LocalBackend)


def test_a_key_of_openais_means_openai_and_that_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(connect.__globals__, "_told", set())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for _ in range(3):
        assert place(connect()) == "HostedBackend(host='openai', base_url='https://api.openai.com/v1')"
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert "OPENAI_API_KEY is set" in record.message
    assert "billed there" in record.message
    assert f"{VARIABLE}=local" in record.message
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://api.openai.com/v1/", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
        ("https://api.tokenfactory.nebius.com/v1", "nebius"),
        ("https://mine.openai.azure.com/openai/v1", "azure"),
    ],
)
def test_the_host_is_known_by_its_address(monkeypatch: pytest.MonkeyPatch, address: str, host: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    backend = connect()
    assert place(backend) == f"HostedBackend(host={host!r}, base_url={address.rstrip('/')!r})"
    assert backend.account is not None, "with the key of the address"
    assert KEY not in backend.account


def test_azure_takes_an_address_and_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", KEY)
    assert isinstance(connect(), LocalBackend)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
    assert "host='azure'" in place(connect())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert "host='openai'" in place(connect()), "OpenAI's goes first"


def test_any_host_that_can_be_driven_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://mine.openai.azure.com")
    for name, profile in host_profiles().items():
        if profile.runs_jobs:
            monkeypatch.setenv(VARIABLE, name)
            backend = connect()
            assert isinstance(backend, HostedBackend)
            assert backend.profile.name == name


def test_a_host_with_an_address_for_each_account_is_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "generic")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert place(connect()) == "HostedBackend(host='generic', base_url='http://127.0.0.1:9/v1')"


@pytest.mark.parametrize(
    ("name", "message"), [("elsewhere", "is not known; there are local, openai"), ("own", "an API of its own")]
)
def test_what_cannot_be_driven_is_refused_with_what_can(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, message: str
) -> None:
    own = {"source": "a test", "as_of": "2026-11-25", "byte_order_mark": False, "min_examples": None}
    (tmp_path / "hosts.json").write_text(json.dumps({"own": {**own, "max_file_bytes": 9, "models": {}}}), "utf-8")
    monkeypatch.setenv("FINETUNE_KIT_HOSTS", str(tmp_path / "hosts.json"))
    monkeypatch.setenv(VARIABLE, name)
    with pytest.raises(ParameterError, match=f"{VARIABLE} is '{name}'.*{message}"):
        connect()


def test_connections_are_shared_while_somebody_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    first = connect()
    assert connect() is first
    monkeypatch.setenv("OPENAI_API_KEY", KEY + "-another")
    assert connect() is not first


def test_a_client_connects_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    model = ModelClient("ft:x")
    assert (model.name, repr(model)) == ("ft:x", "ModelClient('ft:x')")
    with pytest.raises(ParameterError, match=VARIABLE):
        model.complete("Hi")
