"""Which backend a call without one goes to."""

from __future__ import annotations

import pytest

from finetune_kit import LocalBackend, connect
from finetune_kit.errors import ParameterError


def test_a_given_backend_is_taken_as_it_is() -> None:
    backend = LocalBackend()
    assert connect(backend) is backend


@pytest.mark.parametrize("value", [None, "", "local"])
def test_local_is_the_default_and_has_a_name(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv("FINETUNE_KIT_BACKEND", value)
    assert isinstance(connect(), LocalBackend)


def test_an_api_key_in_the_environment_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    assert isinstance(connect(), LocalBackend)


def test_an_unknown_name_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_KIT_BACKEND", "moon")
    with pytest.raises(ParameterError, match="FINETUNE_KIT_BACKEND is 'moon'; this version knows 'local'"):
        connect()
