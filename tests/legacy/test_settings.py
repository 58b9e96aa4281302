"""Which backend a script's calls go to, by what it assigns and what the environment says."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import finetune_kit.legacy as openai
from finetune_kit import LocalBackend
from finetune_kit.backends import HostedBackend
from finetune_kit.legacy.keys import looks_real
from finetune_kit.legacy.settings import connection
from finetune_kit.testing import MemoryBackend

KEY = "sk-proj-0123456789abcdefghijklmnopqrstuv"
NO_KEYS = [
    "YOUR_API_KEY",
    "sk-...",
    "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "<your api key goes in here 123>",
    "your-openai-api-key-goes-here",
    "sk-your-openai-api-key-1234567",
    "你的API密钥你的API密钥你的API密钥",
    "test",
    "",
    "   ",
]
KEYS = [KEY, "sk-" + "aB3dE6gH9jK2mN5pQ8rS" * 2, "0123456789abcdef0123456789abcdef", "AbCd" * 3 + "efghij.klmnop"]


def shown() -> str:
    return repr(connection({}).backend)


@pytest.mark.parametrize("key", [None, *NO_KEYS])
def test_without_a_key_it_is_this_machine(key: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "api_key", key)
    assert isinstance(connection({}).backend, LocalBackend)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_means_its_host_and_the_log_says_so(
    key: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert looks_real(key)
    monkeypatch.setattr(openai, "api_key", key)
    backend = connection({}).backend
    assert isinstance(backend, HostedBackend)
    assert backend.profile.name == "openai"
    assert "billed there" in caplog.text
    assert key not in caplog.text + repr(backend)


def test_a_placeholder_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(openai, "api_key", "YOUR_API_KEY")
    for _ in range(2):
        connection({})
    assert caplog.text.count("only stands for a key") == 1


def test_a_backend_counts_before_a_key(monkeypatch: pytest.MonkeyPatch, memory: MemoryBackend) -> None:
    monkeypatch.setattr(openai, "api_key", KEY)
    assert connection({"api_key": KEY}).backend is memory


def test_local_in_the_environment_counts_before_a_key(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("FINETUNE_KIT_BACKEND", "local")
    monkeypatch.setattr(openai, "api_key", KEY)
    assert isinstance(connection({}).backend, LocalBackend)
    assert "is not used" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("assigned", "environment", "expected"),
    [
        ({"api_base": "http://127.0.0.1:9/v1", "api_key": "EMPTY"}, {}, "openai http://127.0.0.1:9/v1"),
        ({"api_base": "https://api.tokenfactory.nebius.com/v1", "api_key": KEY}, {}, "nebius"),
        ({"api_key": KEY}, {"FINETUNE_KIT_BACKEND": "nebius"}, "nebius"),
        ({"api_key": KEY}, {"OPENAI_API_KEY": KEY}, "openai https://api.openai.com/v1"),
        (
            {"api_key": KEY},
            {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:8/v1"},
            "http://127.0.0.1:8/v1",
        ),
        (
            {
                "api_type": "azure",
                "api_base": "https://r.openai.azure.com/",
                "api_version": "2023-05-15",
                "api_key": KEY,
            },
            {},
            "azure https://r.openai.azure.com/openai/v1",
        ),
        (
            {
                "api_type": "azure",
                "api_base": "https://r.openai.azure.com",
                "api_version": "2024-10-21",
                "api_key": KEY,
            },
            {},
            "azure https://r.openai.azure.com",
        ),
    ],
)
def test_a_host_is_known_by_its_address_or_by_name(
    assigned: dict[str, str], environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name, value in assigned.items():
        monkeypatch.setattr(openai, name, value)
    assert all(part in shown() for part in expected.split())


def test_a_call_may_bring_its_own_key() -> None:
    backend = connection({"api_key": KEY, "api_base": "http://127.0.0.1:9/v1"}).backend
    assert "127.0.0.1:9" in repr(backend)
    assert isinstance(connection({}).backend, LocalBackend)


def test_a_key_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8")
    monkeypatch.setattr(openai, "api_key_path", str(tmp_path / "key"))
    assert isinstance(connection({}).backend, HostedBackend)


def test_the_same_settings_are_the_same_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    first = connection({}).backend
    assert connection({}).backend is first
    monkeypatch.setenv("FINETUNE_KIT_HOME", "elsewhere")
    assert connection({}).backend is not first


@pytest.mark.parametrize(
    ("assigned", "error"),
    [
        ({"backend": "local"}, openai.error.InvalidRequestError),
        ({"api_key": 7}, openai.error.AuthenticationError),
        (
            {"api_type": "azure_ad", "api_key": KEY, "api_base": "https://r.openai.azure.com"},
            openai.error.InvalidAPIType,
        ),
        ({"api_key": KEY, "api_base": "r.openai.azure.com"}, openai.error.InvalidRequestError),
    ],
)
def test_what_means_no_backend(
    assigned: dict[str, Any], error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in assigned.items():
        monkeypatch.setattr(openai, name, value)
    with pytest.raises(error) as caught:
        openai.FineTune.list()
    assert KEY not in str(caught.value)


def test_no_reply_and_no_error_holds_the_key(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(openai, "api_key", KEY)
    monkeypatch.setattr(openai, "api_base", "http://127.0.0.1:9/v1")
    with pytest.raises(openai.error.OpenAIError) as caught:
        openai.Completion.create(model="ft:gpt-4.1::x", prompt="a", max_tokens=1)
    told = f"{caught.value!r} {caught.value.__cause__!r} {vars(caught.value)} {caplog.text}"
    assert KEY not in told
