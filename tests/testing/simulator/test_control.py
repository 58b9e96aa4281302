"""A simulated host in a process of its own, steered over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI

from finetune_kit.testing import HostSimulator, ManualClock, Pace
from finetune_kit.testing.simulator.__main__ import main
from tests.testing.simulator.clients import client_of, started, uploaded


@dataclass(frozen=True)
class Control:
    """The steering wheel of a host."""

    endpoint: str
    key: str

    def ask(self, method: str, path: str, body: object = None, *, key: str | None = None) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.key if key is None else key}"}
        return httpx2.request(method, f"{self.endpoint}/_simulator{path}", headers=headers, json=body)

    def told(self, method: str, path: str, body: object = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def control(host: HostSimulator) -> Control:
    return Control(host.endpoint, host.api_key)


def test_the_wheel_is_under_the_same_key(control: Control) -> None:
    for method, path in (("GET", "/state"), ("POST", "/faults"), ("POST", "/settings")):
        assert control.ask(method, path, {}, key="sk-wrong").status_code == 401


def test_faults_can_be_added_listed_and_cleared(control: Control, client: OpenAI) -> None:
    faults = [{"kind": "error", "on": "GET /files", "status": 503}, {"kind": "cut", "times": None}]
    assert control.told("POST", "/faults", {"faults": faults}) == {"added": 2}
    with pytest.raises(openai.InternalServerError):
        client.files.list()
    with pytest.raises(openai.APIConnectionError):
        client.files.list()
    assert [one["kind"] for one in control.told("GET", "/faults")["data"]] == ["cut"]
    control.told("DELETE", "/faults")
    assert client.files.list().data == []


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"kind": "explode"}, "kind"),
        ({}, "kind"),
        ({"kind": "cut", "time": 1}, "time"),
        ({"kind": "cut", "nth": 0}, "nth"),
        ({"kind": "cut", "on": "everything"}, "on="),
        ({"kind": "cut", "times": "often"}, "times"),
    ],
)
def test_a_wrong_fault_is_refused_by_its_field(control: Control, fault: object, named: str) -> None:
    answer = control.ask("POST", "/faults", fault)
    assert answer.status_code == 400
    assert named in answer.json()["error"]["message"]


def test_the_state_tells_jobs_files_and_what_was_asked(control: Control, client: OpenAI) -> None:
    job = started(client)
    state = control.told("GET", "/state")
    assert [one["id"] for one in state["jobs"]] == [job.id]
    assert [one["id"] for one in state["files"]] == [job.training_file]
    assert state["counts"] == {"POST /files": 1, "POST /fine_tuning/jobs": 1}
    [last] = control.told("GET", "/requests?skip=1")["data"]
    assert (last["method"], last["path"], last["status"]) == ("POST", "/fine_tuning/jobs", 200)


def test_jobs_can_be_steered() -> None:
    with HostSimulator(pace=Pace.by_hand()) as host, client_of(host) as client:
        control = Control(host.endpoint, host.api_key)
        one, other = started(client), started(client)
        assert control.told("POST", f"/jobs/{one.id}/advance") == {"status": "queued"}
        assert control.told("POST", f"/jobs/{one.id}/finish") == {"status": "succeeded"}
        assert control.told("POST", f"/jobs/{other.id}/fail", {"message": "on fire"}) == {"status": "failed"}
        assert control.ask("POST", "/jobs/ftjob-of-nobody/advance").status_code == 404


def test_the_host_can_be_changed() -> None:
    with HostSimulator(clock=ManualClock(1_800_000_000)) as host, client_of(host) as client:
        control = Control(host.endpoint, host.api_key)
        control.told("POST", "/settings", {"pass_seconds": 60, "clock_skew_seconds": -7200})
        assert uploaded(client).created_at == 1_800_000_060 - 7200
        control.told("POST", "/settings", {"closed_to_training": "gpt-4o", "max_pending_jobs": 0})
        with pytest.raises(openai.BadRequestError, match="not available for fine-tuning"):
            started(client, model="gpt-4o")
        with pytest.raises(openai.RateLimitError):
            started(client)
        control.told("POST", "/settings", {"training_allowed": False})
        with pytest.raises(openai.PermissionDeniedError):
            started(client)
        assert control.ask("POST", "/settings", {"weather": "fine"}).status_code == 400


def test_time_passes_on_command_only_by_a_clock_made_for_it(control: Control) -> None:
    assert "ManualClock" in control.ask("POST", "/settings", {"pass_seconds": 60}).json()["error"]["message"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "finetune_kit.testing.simulator",
        "--fault",
        '{"kind": "error", "on": "GET /files"}',
    ]
    with subprocess.Popen([*command, "--key", "sk-of-the-test"], stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_runs_as_a_process_and_ends_when_it_is_told_to(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    base_url, key = process.stdout.readline().strip(), process.stdout.readline().strip()
    assert key == "sk-of-the-test"
    with OpenAI(api_key=key, base_url=base_url, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError):
            client.files.list()
        assert client.files.list().data == []
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_wrong_argument_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fault", "{"]) == 1
    assert main(["--host", "nowhere"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 2
