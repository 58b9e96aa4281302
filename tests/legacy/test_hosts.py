"""The same script at hosts with today's API, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

import finetune_kit.legacy as openai
from finetune_kit import ModelClient
from finetune_kit._clock import using
from finetune_kit.backends import HostedBackend
from finetune_kit.errors import ShutdownWarning
from finetune_kit.legacy import settings
from finetune_kit.testing import HostSimulator
from tests.hosts_of import november
from tests.legacy.test_old_script import SCRIPT, run_script

KEY = "YOUR_API_KEY"  # what the script assigns


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "home"))
    with using(november(1000)):
        yield


def test_on_a_host_that_takes_prompts_and_completions(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_KIT_BACKEND", "nebius")
    with HostSimulator(host="nebius", key=KEY, models=["davinci"]) as host:
        monkeypatch.setattr(openai, "api_base", host.base_url)
        end = run_script()
        assert end["answer"] == "炒蛋今天20元"
        [file] = [one for one in host.files if str(one["filename"]).startswith("training")]
        sent = openai.File.download(str(file["id"])).decode().splitlines()
        lines = (prepared / "train_data").read_text(encoding="utf-8").splitlines()
        assert [json.loads(line) for line in sent] == [json.loads(line) for line in lines]
        assert host.counts["POST /fine_tuning/jobs"] == 1
        assert end["result"].startswith(b"step,elapsed_tokens,elapsed_examples,training_loss,")
        with HostedBackend(api_key=KEY, base_url=host.base_url, host="nebius") as backend:
            assert ModelClient(end["job"]["fine_tuned_model"], backend).complete("炒蛋多少钱?") == "炒蛋今天20元"


@pytest.mark.usefixtures("prepared")
def test_on_a_host_that_takes_conversations_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks of a completion model are taken off before training, and off the prompt of each call."""
    with HostSimulator(key=KEY) as host:
        monkeypatch.setattr(openai, "api_base", host.base_url)
        with pytest.warns(ShutdownWarning, match="takes no new training") as warned:
            end = run_script()
        lines = SCRIPT.read_text(encoding="utf-8").splitlines()
        assert {warning.filename for warning in warned} == {str(SCRIPT)}
        trained, asked = [lines[warning.lineno - 1] for warning in warned]
        assert trained.startswith("job = openai.FineTune")
        assert "openai.Completion.create" in asked
        assert end["answer"] == "炒蛋今天20元"
        assert end["job"]["events"][0]["level"] == "warn"
        [file] = [one for one in host.files if str(one["filename"]).startswith("training")]
        sent = json.loads(openai.File.download(str(file["id"])).splitlines()[0])
        question, answer = sent["messages"]
        assert (question["content"], answer["content"]) == ("炒蛋多少钱?", "炒蛋今天20元")
        soon = pytest.warns(ShutdownWarning, match="is shut down on 2027-01-14, in 50 days")
        with HostedBackend(api_key=KEY, base_url=host.base_url) as backend, soon:
            assert ModelClient(end["job"]["fine_tuned_model"], backend).complete("炒蛋多少钱?") == "炒蛋今天20元"


@pytest.mark.parametrize("name", ["davinci", "curie", "gpt-4.1-mini"])
def test_a_base_model_of_then_is_called_by_the_one_that_stands_in_for_it(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with HostSimulator(key=KEY) as host:
        monkeypatch.setattr(openai, "api_base", host.base_url)
        monkeypatch.setattr(openai, "api_key", KEY)
        with pytest.warns(ShutdownWarning, match=r"is shut down on 2027-01-14, in 50 days.*lists others"):
            reply = openai.Completion.create(model=name, prompt="Hi", max_tokens=2)
    assert (reply.model, reply.choices[0].finish_reason) == ("gpt-4.1-mini-2025-04-14", "length")
    assert f"'{name}'" in caplog.text
    settings.forget()


@pytest.mark.usefixtures("prepared")
def test_after_its_last_day_a_script_is_told_where_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finetune_kit.hosts.calendar.today", lambda: date(2027, 1, 14))
    with HostSimulator(key=KEY) as host:
        monkeypatch.setattr(openai, "api_base", host.base_url)
        monkeypatch.setattr(openai, "api_key", KEY)
        with pytest.raises(openai.error.InvalidRequestError, match=r"was shut down on 2027-01-14.*LocalBackend\(\)"):
            openai.FineTune.create(training_file="train_data", model="davinci")
        assert host.files == []
    settings.forget()


@pytest.mark.usefixtures("prepared")
def test_errors_of_a_host_have_their_old_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINETUNE_KIT_BACKEND", "nebius")
    with HostSimulator(host="nebius", models=["davinci"]) as host:
        monkeypatch.setattr(openai, "api_base", host.base_url)
        with pytest.raises(openai.error.AuthenticationError) as caught:
            run_script()
        assert caught.value.http_status == 401
        assert KEY not in str(caught.value)
        monkeypatch.setattr(openai, "api_key", host.api_key)
        host.training_allowed = False
        with pytest.raises(openai.error.PermissionError) as refused:
            openai.FineTune.create(training_file="train_data", model="davinci")
        assert refused.value.code == "training_not_available"
