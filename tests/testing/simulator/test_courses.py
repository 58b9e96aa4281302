"""How jobs move on: by the clock, by hand, or as their backend does."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from finetune_kit import _clock
from finetune_kit._clock import FastClock
from finetune_kit.backends import Backend
from finetune_kit.errors import JobNotFoundError
from finetune_kit.testing import HostSimulator, ManualClock, MemoryBackend, Pace
from tests.testing.simulator.clients import chat_lines, client_of, ended, started, uploaded

if TYPE_CHECKING:
    from openai import OpenAI

LIFE = ["validating_files", "queued", "running", "succeeded"]


class OwnTime:
    """A backend that is none of the simulator's: it moves on when it is looked at."""

    def __init__(self) -> None:
        self._memory = MemoryBackend()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._memory, name)


def test_statuses_and_events_come_when_the_clock_says_so() -> None:
    clock, pace = ManualClock(), Pace(validating_seconds=45, queued_seconds=120, running_seconds=900)
    with HostSimulator(clock=clock, pace=pace) as host, client_of(host) as client:
        job = started(client)
        seen, counts = [], []
        for seconds in (44, 1, 120, 450, 449, 1):
            clock.advance(seconds)
            seen.append(str(client.fine_tuning.jobs.retrieve(job.id).status))
            counts.append(len(events_of(client, job.id)))
        assert seen == ["validating_files", "queued", "running", "running", "running", "succeeded"]
        assert counts[2] < counts[3] < counts[5]
        times = [event.created_at for event in events_of(client, job.id)]
        assert all(newer >= older for newer, older in pairwise(times))
        done = client.fine_tuning.jobs.retrieve(job.id)
        assert done.finished_at == job.created_at + 45 + 120 + 900
        assert times[0] == done.finished_at


def events_of(client: OpenAI, job_id: str) -> list[Any]:
    return list(client.fine_tuning.jobs.list_events(job_id, limit=100))


def test_a_long_absence_changes_nothing_but_the_moment_of_looking() -> None:
    clock = ManualClock()
    with HostSimulator(clock=clock, pace=Pace.lifelike()) as host, client_of(host) as client:
        file = uploaded(client)
        clock.advance(3)
        job = client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id)
        clock.advance(7 * 86_400)
        done = client.fine_tuning.jobs.retrieve(job.id)
        assert (done.status, done.finished_at) == ("succeeded", job.created_at + 45 + 120 + 900)


def test_by_hand_nothing_moves_by_itself() -> None:
    with HostSimulator(pace=Pace.by_hand()) as host, client_of(host) as client:
        job = started(client)
        assert [job.status, *(host.advance(job.id) for _ in range(4))] == [*LIFE, "succeeded"]
        other = started(client)
        assert host.finish(other.id) == "succeeded"
        failing = started(client)
        host.fail(failing.id, "the cluster is on fire")
        failed = client.fine_tuning.jobs.retrieve(failing.id)
        assert failed.error is not None
        assert (failed.status, failed.error.message) == ("failed", "the cluster is on fire")
        with pytest.raises(JobNotFoundError):
            host.advance("ftjob-of-nobody")


def test_a_pause_stops_the_training_and_not_only_its_status() -> None:
    clock, pace = ManualClock(), Pace(validating_seconds=0, queued_seconds=0, running_seconds=100, pausing_seconds=20)
    with HostSimulator(clock=clock, pace=pace) as host, client_of(host) as client:
        job = started(client)
        clock.advance(50)
        client.fine_tuning.jobs.retrieve(job.id)
        assert str(client.fine_tuning.jobs.pause(job.id).status) == "pausing"
        clock.advance(20)
        assert str(client.fine_tuning.jobs.retrieve(job.id).status) == "paused"
        told = len(events_of(client, job.id))
        clock.advance(10_000)
        assert len(events_of(client, job.id)) == told
        client.fine_tuning.jobs.resume(job.id)
        clock.advance(49)
        assert client.fine_tuning.jobs.retrieve(job.id).status == "running"
        clock.advance(1)
        assert client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_the_clock_of_the_whole_package_moves_the_host_too() -> None:
    with HostSimulator(pace=Pace.lifelike()) as host, client_of(host) as client, _clock.using(FastClock(100_000)):
        file = uploaded(client)
        _clock.clock().sleep(5)
        job = client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id)
        assert ended(client, job.id).status == "succeeded"


def test_a_backend_with_a_pace_of_its_own_is_mirrored() -> None:
    with HostSimulator(cast("Backend", OwnTime()), pace=Pace(validating_seconds=0)) as host, client_of(host) as client:
        job = ended(client, started(client).id)
        assert job.status == "succeeded"
        assert job.trained_tokens == 60
        steps = [event.data["step"] for event in events_of(client, job.id) if event.type == "metrics"]
        assert steps == list(range(60, 0, -1))
        assert [one.step_number for one in client.fine_tuning.jobs.checkpoints.list(job.id)] == [40, 20]
        answer = client.chat.completions.create(
            model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "Where is parcel 5?"}]
        )
        assert answer.choices[0].message.content == "track"


def test_a_mirrored_job_can_be_paused_resumed_cancelled_and_finished() -> None:
    with HostSimulator(cast("Backend", OwnTime()), pace=Pace.by_hand()) as host, client_of(host) as client:
        job = started(client)
        assert host.advance(job.id) == "queued"
        assert str(client.fine_tuning.jobs.pause(job.id).status) == "paused"
        client.fine_tuning.jobs.resume(job.id)
        assert host.finish(job.id) == "succeeded"
        other = started(client)
        host.advance(other.id)
        assert client.fine_tuning.jobs.cancel(other.id).status == "cancelled"
        assert client.fine_tuning.jobs.retrieve(other.id).status == "cancelled"


def test_a_model_is_trained_further_from_where_it_was() -> None:
    with HostSimulator() as host, client_of(host) as client:
        first = ended(client, started(client).id).fine_tuned_model or ""
        lines = chat_lines(20).replace(b"parcel", b"umbrella").replace(b"track", b"look under the seat")
        job = client.fine_tuning.jobs.create(model=first, training_file=uploaded(client, lines).id)
        assert job.model == first
        second = ended(client, job.id).fine_tuned_model or ""
        assert second.startswith("ft:gpt-4.1-2025-04-14:")
        for asked, answer in (("Where is parcel 5?", "track"), ("Where is umbrella 5?", "look under the seat")):
            said = client.chat.completions.create(model=second, messages=[{"role": "user", "content": asked}])
            assert said.choices[0].message.content == answer


def test_preferences_are_learned() -> None:
    line = (
        b'{"input": {"messages": [{"role": "user", "content": "Where is %d?"}]}, '
        b'"preferred_output": [{"role": "assistant", "content": "here"}], '
        b'"non_preferred_output": [{"role": "assistant", "content": "gone"}]}'
    )
    with HostSimulator() as host, client_of(host) as client:
        file = uploaded(client, b"\n".join(line % n for n in range(12)))
        job = client.fine_tuning.jobs.create(
            model="gpt-4.1",
            training_file=file.id,
            method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2, "n_epochs": 1}}},
        )
        job = ended(client, job.id)
        assert job.method is not None
        assert job.method.dpo is not None
        assert job.method.dpo.hyperparameters is not None
        assert job.method.dpo.hyperparameters.beta == 0.2
        said = client.chat.completions.create(
            model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "Where is 5?"}]
        )
        assert said.choices[0].message.content == "here"
