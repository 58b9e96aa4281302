"""One order is one job, whatever happens to the questions, to the answers and to the process."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from finetune_kit import Dataset, Split
from finetune_kit._clock import FastClock
from finetune_kit.backends import JobSpec, JobState
from finetune_kit.errors import (
    AuthenticationError,
    BackendError,
    FinetuneKitError,
    HostReplyError,
    HostUnavailableError,
    JobNotFoundError,
    JobSlotsError,
    ModelClosedError,
    ParameterError,
    QuotaError,
    RateLimitError,
    RequestRefusedError,
    StorageError,
    TrainingNotAvailableError,
    UnclearOutcomeError,
)
from finetune_kit.launching import launch
from finetune_kit.launching.lookup import SETTLE_SECONDS
from finetune_kit.ledger import Intent, Ledger, Place
from finetune_kit.remembering import let_go, saw
from tests.launching.scripted import Host, Lost, World, order

PLACE = Place("scripted", "acct")
UNCLEAR = [
    UnclearOutcomeError("no answer within 600 s."),
    HostReplyError("HTML came back."),
    HostUnavailableError("the host answered 500.", status=500),
]
REFUSALS = [
    AuthenticationError("the key is wrong."),
    QuotaError("no money."),
    TrainingNotAvailableError("no new jobs.", code="training_not_available"),
    RequestRefusedError("n_epochs is too large."),
    ModelClosedError("closed."),
    ParameterError("a backend's own check."),
]


class Killed(BaseException):
    """Nothing in the package catches it."""


def intents() -> list[Intent]:
    return Ledger().intents.all()


def name_of(error: object) -> str:
    return type(error).__name__


# one job


def test_an_order_becomes_one_job_on_its_files(world: World) -> None:
    job = launch(order(validation="two"), Host(world))
    assert [one.id for one in world.jobs] == [job.id]
    spec = world.specs[job.id]
    training, validation = (world.memory.file(one or "") for one in (spec.training_file, spec.validation_file))
    assert training.filename.startswith("training-")
    assert validation.filename.startswith("validation-")
    assert spec.card.training is not None
    assert spec.card.training.rows == 12
    [intent] = intents()
    assert (intent.token, intent.job_id, intent.state, intent.posts) == (spec.token, job.id, "started", 1)
    assert (intent.requested_model, intent.suffix, intent.place) == ("davinci", "parcels", PLACE)


def test_the_intent_stands_in_the_ledger_when_the_host_is_asked(world: World) -> None:
    seen: list[str] = []

    class Looking(Host):
        def start(self, spec: JobSpec) -> JobState:
            seen.extend(f"{one.state} {one.token}" for one in intents())
            return super().start(spec)

    job = launch(order(), Looking(world))
    assert seen == [f"asked {world.specs[job.id].token}"]


def test_where_nothing_outlives_the_object_nothing_is_remembered(world: World, home: Path) -> None:
    host = Host(world, account=None)
    assert launch(order(), host).id != launch(order(), host).id
    assert not home.exists()


# the same again


def test_a_live_job_is_taken_and_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    first = launch(order(), Host(world))
    assert launch(order(), Host(world)).id == first.id
    assert world.count("start") == world.count("upload") == world.count("preflight") == 1
    assert "It is taken, and nothing new is started" in caplog.text


def test_a_job_whose_end_nobody_saw_is_taken(world: World) -> None:
    first = launch(order(), Host(world))
    for _ in range(3):
        world.memory.advance(first.id)
    again = launch(order(), Host(world))
    assert (again.id, again.status) == (first.id, "succeeded")
    saw(Host(world), again)
    assert launch(order(), Host(world)).id != first.id
    assert world.count("upload") == 1


@pytest.mark.parametrize("how", ["cancelled there", "let go", "gone"])
def test_a_job_that_was_given_up_is_not_taken(world: World, how: str) -> None:
    first = launch(order(), Host(world))
    if how == "cancelled there":
        world.memory.cancel(first.id)
    elif how == "let go":
        let_go(Host(world), first.id)
    else:
        world.script["job"] = [JobNotFoundError("no such job.") for _ in range(50)]
    second = launch(order(), Host(world))
    assert second.id != first.id
    world.script["job"] = []
    assert launch(order(), Host(world)).id == second.id


def test_a_job_that_the_host_does_not_know_yet_is_no_reason_for_a_second_one(world: World) -> None:
    first = launch(order(), Host(world))
    world.script["job"] = [JobNotFoundError("no such job."), JobNotFoundError("no such job.")]
    assert launch(order(), Host(world)).id == first.id
    assert world.count("start") == 1


@pytest.mark.parametrize("change", ["text", "epochs", "validation", "account", "seed", "metadata", "method", "suffix"])
def test_another_order_is_another_job(world: World, change: str) -> None:
    first = launch(order(), Host(world))
    other, host = order(), Host(world)
    if change == "text":
        other = order("two")
    elif change == "epochs":
        other = order(n_epochs=5)
    elif change == "validation":
        other = order(validation="two")
    elif change == "account":
        host = Host(world, account="another")
    elif change == "seed":
        other = replace(other, seed=1)
    elif change == "metadata":
        other = replace(other, metadata={"try": "2"})
    elif change == "method":
        other = replace(other, method="dpo")
    else:
        other = replace(other, suffix="other")
    assert launch(other, host).id != first.id


# answers that are lost


@pytest.mark.parametrize("error", UNCLEAR, ids=name_of)
def test_a_job_whose_answer_was_lost_is_found_and_taken(world: World, error: BackendError) -> None:
    world.script["start"] = [Lost(error)]
    job = launch(order(), Host(world))
    assert [one.id for one in world.jobs] == [job.id]
    assert world.count("start") == 1
    assert intents()[0].job_id == job.id


@pytest.mark.parametrize("error", UNCLEAR, ids=name_of)
def test_a_job_that_never_was_is_asked_for_again_with_its_token(world: World, error: BackendError) -> None:
    world.script["start"] = [error]
    job = launch(order(), Host(world))
    assert [one.id for one in world.jobs] == [job.id]
    [intent] = intents()
    assert (intent.token, intent.posts) == (world.specs[job.id].token, 2)


def test_nothing_is_asked_again_before_the_host_has_had_its_time(world: World, fast: FastClock) -> None:
    begun = fast.monotonic()
    when: list[float] = []

    class Watched(Host):
        def start(self, spec: JobSpec) -> JobState:
            when.append(fast.monotonic() - begun)
            return super().start(spec)

    world.script["start"] = [UNCLEAR[0]]
    launch(order(), Watched(world))
    assert when[1] - when[0] >= SETTLE_SECONDS
    assert world.count("started") >= 5


def test_a_job_that_the_list_shows_late_is_not_doubled(world: World) -> None:
    world.script["start"] = [Lost(UNCLEAR[0])]
    world.hidden = {"ftjob-1": 4}
    assert launch(order(), Host(world)).id == "ftjob-1"
    assert world.count("start") == 1


def test_a_twin_that_shows_after_all_is_cancelled(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.script["start"] = [Lost(UNCLEAR[0])]
    world.hidden = {"ftjob-1": 20}
    looks = 0

    class Late(Host):
        def started(self, spec: JobSpec) -> list[JobState]:
            nonlocal looks
            looks += 1
            if world.count("start") == 2:
                world.hidden = {}
            return super().started(spec)

    job = launch(order(), Late(world))
    assert world.live == [job.id] == ["ftjob-1"]
    assert {one.id: one.status for one in world.jobs} == {"ftjob-1": "queued", "ftjob-2": "cancelled"}
    assert "was a twin of" in caplog.text
    assert intents()[0].job_id == job.id


def test_a_host_whose_answers_are_all_lost_is_asked_three_times_and_said_so(world: World) -> None:
    world.script["start"] = [UNCLEAR[0]] * 9
    with pytest.raises(UnclearOutcomeError, match=r"no answer within 600 s\..*is not known; nothing is lost") as caught:
        launch(order(), Host(world))
    assert caught.value.retryable
    assert world.count("start") == 3
    world.script.clear()
    job = launch(order(), Host(world))
    assert [one.id for one in world.jobs] == [job.id]


def test_a_host_that_goes_away_after_a_lost_answer_leaves_the_job_to_be_found(world: World) -> None:
    world.script["start"] = [Lost(UNCLEAR[0])]
    world.script["started"] = [HostUnavailableError("the host cannot be reached.", sent=False)] * 1000
    with pytest.raises(HostUnavailableError, match="Whether the job was started is not known; nothing is lost"):
        launch(order(), Host(world))
    world.script.clear()
    assert launch(order(), Host(world)).id == "ftjob-1"
    assert world.count("start") == 1


def test_a_refusal_after_a_lost_answer_does_not_hide_the_job(world: World) -> None:
    world.script["start"] = [Lost(UNCLEAR[0]), QuotaError("no money.")]
    world.hidden = {"ftjob-1": 12}

    class Late(Host):
        def started(self, spec: JobSpec) -> list[JobState]:
            if world.count("start") == 2:
                world.hidden = {}
            return super().started(spec)

    assert launch(order(), Late(world)).id == "ftjob-1"
    assert intents()[0].state == "started"


# refusals


@pytest.mark.parametrize("error", REFUSALS, ids=name_of)
def test_a_refusal_is_told_and_the_next_order_is_a_new_one(world: World, error: FinetuneKitError) -> None:
    world.script["start"] = [error]
    with pytest.raises(type(error), match=str(error)):
        launch(order(), Host(world))
    assert [one.state for one in intents()] == ["void"]
    assert world.count("start") == 1
    job = launch(order(), Host(world))
    assert [one.token for one in intents() if one.state == "started"] == [world.specs[job.id].token]
    assert world.count("upload") == 1
    assert len(world.jobs) == 1


@pytest.mark.parametrize("error", [*REFUSALS[:2], ModelClosedError("closed.")], ids=name_of)
def test_what_preflight_finds_is_told_before_anything_is_sent(world: World, error: BackendError) -> None:
    world.script["preflight"] = [error]
    with pytest.raises(type(error), match=r"\. Nothing was started\.$"):
        launch(order(), Host(world))
    assert world.count("upload") == world.count("start") == 0
    assert intents() == []


BUSY = [
    RateLimitError("too many requests.", retry_after_seconds=30),
    JobSlotsError("3 jobs wait already."),
    HostUnavailableError("no connection.", sent=False),
]
NOT_READY = RequestRefusedError("the file is still being processed.", code="file_not_ready")


def test_a_host_that_finds_its_file_not_ready_yet_is_waited_for(world: World) -> None:
    world.script["start"] = [NOT_READY, NOT_READY]
    job = launch(order(), Host(world))
    assert [one.id for one in world.jobs] == [job.id]
    world.script["start"] = [NOT_READY] * 5000
    with pytest.raises(RequestRefusedError, match="Nothing was started; call train\\(\\) again later"):
        launch(order("two"), Host(world))


@pytest.mark.parametrize("error", BUSY, ids=name_of)
@pytest.mark.parametrize("call", ["preflight", "upload", "start"])
def test_a_busy_host_is_waited_for(world: World, fast: FastClock, error: BackendError, call: str) -> None:
    begun = fast.monotonic()
    world.script[call] = [error, error, error]
    job = launch(order(), Host(world))
    assert [one.id for one in world.jobs] == [job.id]
    assert world.count("started") == 0
    assert fast.monotonic() - begun >= 3 * (getattr(error, "retry_after_seconds", None) or 0.5)


@pytest.mark.parametrize("error", BUSY, ids=name_of)
@pytest.mark.parametrize("call", ["preflight", "upload", "start"])
def test_patience_ends_with_an_error_that_says_nothing_was_started(
    world: World, error: BackendError, call: str
) -> None:
    world.script[call] = [error] * 5000
    with pytest.raises(type(error), match="Nothing was started; call train\\(\\) again later") as caught:
        launch(order(), Host(world))
    assert caught.value.retryable
    assert world.jobs == []
    world.script.clear()
    assert launch(order(), Host(world)).id == "ftjob-1"
    assert world.count("started") == 0


def test_a_wait_that_is_too_long_is_not_begun(world: World, fast: FastClock) -> None:
    begun = fast.monotonic()
    world.script["start"] = [RateLimitError("tomorrow.", retry_after_seconds=86_400)]
    with pytest.raises(RateLimitError, match="Nothing was started") as caught:
        launch(order(), Host(world))
    assert caught.value.retry_after_seconds == 86_400
    assert fast.monotonic() - begun < 60


# processes that are killed


@pytest.mark.parametrize("call", ["preflight", "upload", "start", "job", "files", "started"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_that_is_killed_in_a_call_leaves_one_job(world: World, call: str, *, after: bool) -> None:
    world.script[call] = [Lost(Killed()) if after else Killed()]
    if call in ("files", "started"):  # those are asked only by one who comes after a death
        world.script["upload" if call == "files" else "start"] = [Killed()]
    for _ in range(4):
        try:
            launch(order(), Host(world))
        except Killed:
            continue
    assert world.script[call] == []
    assert len(world.jobs) == 1
    assert len(world.memory.files()) == 1


def test_a_process_that_was_killed_while_it_waited_need_not_be_looked_for(world: World) -> None:
    world.script["start"] = [RateLimitError("busy."), Killed()]
    with pytest.raises(Killed):
        launch(order(), Host(world))
    ledger = Ledger()
    ledger.intents.refused(ledger.intents.all()[0], for_good=False)
    launch(order(), Host(world))
    assert world.count("started") == 0
    assert len(intents()) == 1


def test_a_job_that_was_cancelled_after_its_answer_was_lost_is_not_taken(world: World) -> None:
    world.script["start"] = [Lost(Killed())]
    with pytest.raises(Killed):
        launch(order(), Host(world))
    world.memory.cancel("ftjob-1")
    assert launch(order(), Host(world)).id == "ftjob-2"
    assert launch(order(), Host(world)).id == "ftjob-2"


def test_files_that_were_deleted_after_a_death_are_sent_again_for_the_same_token(world: World) -> None:
    world.script["start"] = [Killed()]
    with pytest.raises(Killed):
        launch(order(), Host(world))
    [intent] = intents()
    world.memory.delete_file(intent.training_file)
    job = launch(order(), Host(world))
    assert world.specs[job.id].token == intent.token
    assert world.specs[job.id].training_file != intent.training_file
    assert intents()[0].training_file == world.specs[job.id].training_file


# hosts that keep no metadata


def plain(world: World) -> Host:
    return Host(world, keeps_metadata=False)


def test_without_metadata_a_lost_answer_is_found_among_what_is_new(world: World) -> None:
    first = launch(order(), plain(world))
    saw(plain(world), world.memory.cancel(first.id))
    world.script["start"] = [Lost(UNCLEAR[0])]
    second = launch(order(), plain(world))
    assert second.id != first.id
    assert [one.id for one in world.jobs] == [second.id, first.id]


def test_without_metadata_the_jobs_of_others_are_not_taken(world: World) -> None:
    launch(order(), plain(world))
    world.script["start"] = [UNCLEAR[0]]
    other = launch(order(n_epochs=9), plain(world))
    assert world.specs[other.id].hyperparameters.n_epochs == 9
    assert len(world.jobs) == 2


@pytest.mark.parametrize("reached", [True, False])
def test_without_metadata_two_deaths_on_the_same_files_are_told_apart(world: World, *, reached: bool) -> None:
    world.script["start"] = [Lost(Killed()) if reached else Killed()]
    with pytest.raises(Killed):
        launch(order(), plain(world))
    world.script["start"] = [Lost(UNCLEAR[0])]
    other = launch(order(n_epochs=9), plain(world))
    assert world.specs[other.id].hyperparameters.n_epochs == 9
    first = launch(order(), plain(world))
    assert world.specs[first.id].hyperparameters.n_epochs == 4
    assert len(world.jobs) == 2


# a ledger that cannot be used


def test_nothing_is_started_that_could_not_be_remembered(world: World, home: Path) -> None:
    home.mkdir()
    (home / "ledger.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(StorageError, match="Nothing was started"):
        launch(order(), Host(world))
    assert world.asked == []


def test_a_disk_that_is_full_just_before_the_question_stops_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Intent:
        raise StorageError("no space is left.")

    monkeypatch.setattr("finetune_kit.ledger.intents.Intents.asking", full)
    with pytest.raises(StorageError, match=r"no space is left\. Nothing was started"):
        launch(order(), Host(world))
    assert world.jobs == []


@pytest.mark.parametrize("reached", [True, False])
def test_a_backend_that_cannot_keep_its_own_papers_hides_no_job(world: World, *, reached: bool) -> None:
    full = StorageError("no space is left.")
    world.script["start"] = [Lost(full) if reached else full]
    if reached:
        assert launch(order(), Host(world)).id == "ftjob-1"
    else:
        with pytest.raises(StorageError, match=r"no space is left\. Whether the job was started is not known"):
            launch(order(), Host(world))
    assert launch(order(), Host(world)).id == "ftjob-1"
    assert len(world.jobs) == 1


def test_a_disk_that_is_full_just_after_the_answer_hides_no_job(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object, **__: object) -> Intent:
        raise StorageError("no space is left.")

    with monkeypatch.context() as patch:
        patch.setattr("finetune_kit.ledger.intents.Intents.started", full)
        job = launch(order(), Host(world))
    assert "could not be written down" in caplog.text
    assert launch(order(), Host(world)).id == job.id
    assert len(world.jobs) == 1


# as users meet it


def rows() -> Split:
    return Dataset.from_records([(f"Where is parcel {number}?", "track") for number in range(20)]).split(0.8)


def test_a_script_that_is_run_twice_gets_its_live_job_and_after_its_end_a_new_one(world: World) -> None:
    first, again = (rows().train(backend=Host(world)) for _ in "ab")
    assert first.id == again.id
    for _ in range(3):
        world.memory.advance(first.id)
    late = rows().train(backend=Host(world))
    assert (late.id, late.wait().state.status) == (first.id, "succeeded")
    assert rows().train(backend=Host(world)).id != first.id


def test_a_cancelled_job_is_not_given_again(world: World) -> None:
    first = rows().train(backend=Host(world)).cancel()
    assert rows().train(backend=Host(world)).id != first.id
