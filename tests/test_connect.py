"""Which backend a call without one goes to."""

from __future__ import annotations

import pytest

from finetune_kit.backends import LocalBackend, connect
from finetune_kit.client import ModelClient
from finetune_kit.errors import ParameterError
from finetune_kit.testing import MemoryBackend

VARIABLE = "FINETUNE_KIT_BACKEND"


def test_what_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    backend = MemoryBackend()
    assert connect(backend) is backend


@pytest.mark.parametrize("value", [None, "", "local"])
def test_else_the_engine_on_this_machine(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert isinstance(connect(), LocalBackend)


def test_a_key_in_the_environment_sends_nothing_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-a-key")
    assert isinstance(connect(), LocalBackend)


def test_an_unknown_name_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    with pytest.raises(ParameterError, match=f"{VARIABLE} is 'elsewhere'; this version knows 'local'"):
        connect()


def test_a_client_connects_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "elsewhere")
    model = ModelClient("ft:x")
    assert (model.name, repr(model)) == ("ft:x", "ModelClient('ft:x')")
    with pytest.raises(ParameterError, match=VARIABLE):
        model.complete("Hi")
