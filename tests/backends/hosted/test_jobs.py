"""Jobs are created once, found again, and read whatever a host sends."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from finetune_kit import HostedBackend, ModelCard, PromptTemplate, errors
from finetune_kit.backends import JobSpec
from finetune_kit.backends.hosted.creation import body_of
from finetune_kit.backends.protocol import ListsJobs, TellsTime
from finetune_kit.cards import Hyperparameters
from finetune_kit.hosts import Resolved, host_profile
from tests.backends.hosted.scripted_host import Asked, Says, answering, error

MODEL = "gpt-4.1-2025-04-14"
JOB = {"id": "ftjob-1", "object": "fine_tuning.job", "status": "queued", "model": MODEL, "created_at": 1_721_764_800}


def spec(**more: object) -> JobSpec:
    card = ModelCard(base=MODEL, requested_model=MODEL, kind="chat")
    made = JobSpec(model=Resolved(requested=MODEL, model=MODEL), training_file="file-1", card=card)
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "says",
    [
        error(500),
        error(503),
        error(408),
        error(409),
        Says(b"<!doctype html><p>Bad gateway", content_type="text/html"),
        Says(b'{"id": "ftj', content_type="application/json"),
        Says(JOB, cut=True),
        Says(hang_up=True),
        Says([JOB]),
        Says("ftjob-1"),
        Says(None),
        Says({"object": "fine_tuning.job"}),
        Says({"id": None}),
    ],
    ids=lambda says: f"{says.status}-{says.content[:12]!r}",
)
def test_a_creation_without_a_clear_answer_is_asked_once_and_its_outcome_is_unclear(says: Says) -> None:
    with answering(says) as (backend, host):
        with pytest.raises(errors.UnclearOutcomeError):
            backend.start(spec())
        assert host.paths() == ["/fine_tuning/jobs"]


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (error(400, param="model"), errors.RequestRefusedError),
        (error(401), errors.AuthenticationError),
        (error(403, code="training_not_available"), errors.TrainingNotAvailableError),
        (error(429), errors.RateLimitError),
        (error(429, code="insufficient_quota"), errors.QuotaError),
        (error(404, code="model_not_found"), errors.UnknownModelError),
    ],
)
def test_a_creation_that_was_refused_is_asked_once_and_nothing_is_in_doubt(says: Says, kind: type[Exception]) -> None:
    with answering(says) as (backend, host):
        with pytest.raises(kind) as caught:
            backend.start(spec())
        assert type(caught.value) is kind
        assert host.paths() == ["/fine_tuning/jobs"]


def test_without_a_connection_nothing_was_sent() -> None:
    backend = HostedBackend("sk-1234567890", "http://127.0.0.1:9/v1")
    with pytest.raises(errors.HostUnavailableError) as caught:
        backend.start(spec())
    assert not caught.value.sent
    backend.close()


def test_only_what_was_chosen_is_sent() -> None:
    with answering(Says(JOB)) as (backend, host):
        state = backend.start(spec())
        assert state.id == "ftjob-1"
        assert state.created_at == datetime(2024, 7, 23, 20, tzinfo=UTC)
        body = host.asked[0].json
    assert body["method"] == {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 4}}}
    assert None not in body.values()
    assert {"validation_file", "suffix"}.isdisjoint(body)


def test_preferences_are_trained_with_beta() -> None:
    with answering(Says(JOB)) as (backend, host):
        backend.start(spec(method="dpo", hyperparameters=Hyperparameters(n_epochs=2, beta=0.1), suffix="tone", seed=7))
        body = host.asked[0].json
    assert body["method"] == {"type": "dpo", "dpo": {"hyperparameters": {"n_epochs": 2, "beta": 0.1}}}
    assert (body["suffix"], body["seed"]) == ("tone", 7)


def test_the_token_and_the_template_go_with_the_job_where_the_host_keeps_metadata(keeping: HostedBackend) -> None:
    template = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
    card = ModelCard(base=MODEL, requested_model="davinci", kind="completion", template=template, labels=("a", "b"))
    order = spec(card=card, metadata={"team": "support"})
    body = _body(keeping, order)
    metadata = body["metadata"]
    assert isinstance(metadata, dict)
    assert metadata["team"] == "support"
    assert metadata["ftk_token"] == order.token
    assert len(metadata["ftk_template"]) <= 512
    assert '" ->"' in metadata["ftk_template"]


@pytest.mark.parametrize(("pairs", "ours"), [(13, {"token", "template", "order"}), (14, {"token", "template"})])
def test_the_order_goes_along_where_there_is_room(keeping: HostedBackend, pairs: int, ours: set[str]) -> None:
    full = {f"key {number}": "value" for number in range(pairs)}
    metadata = _body(keeping, spec(metadata=full, order="0" * 32))["metadata"]
    assert isinstance(metadata, dict)
    assert {key.removeprefix("ftk_") for key in metadata if key.startswith("ftk_")} == ours


def test_a_template_without_room_is_left_out(keeping: HostedBackend) -> None:
    full = {f"key {number}": "value" for number in range(15)}
    metadata = _body(keeping, spec(metadata=full))["metadata"]
    assert isinstance(metadata, dict)
    assert len(metadata) == 16
    assert "ftk_token" in metadata


def _body(backend: HostedBackend, order: JobSpec) -> dict[str, object]:

    return dict(body_of(order, backend.profile))


@pytest.fixture
def keeping(monkeypatch: pytest.MonkeyPatch) -> HostedBackend:
    backend = HostedBackend("sk-1234567890")
    update = {"keeps_metadata": True}
    monkeypatch.setattr(backend._connection, "profile", backend.profile.model_copy(update=update))
    return backend


def test_a_question_is_asked_again_where_that_may_help() -> None:
    answers = iter([error(500), Says(b"<html>"), Says(JOB)])
    with answering(lambda _: next(answers)) as (backend, host):
        assert backend.job("ftjob-1").status == "queued"
        assert len(host.asked) == 3


def test_a_question_is_not_asked_again_before_the_host_wants_it() -> None:
    with answering(error(429)) as (backend, host):
        host.answer = lambda _: Says({}, 429, {"retry-after": "3600"})
        with pytest.raises(errors.RateLimitError) as caught:
            backend.job("ftjob-1")
        assert caught.value.retry_after_seconds == 3600
        assert len(host.asked) == 1


@pytest.mark.parametrize("job_id", ["", ".", "..", "a\nb"])
def test_an_id_that_can_name_nothing_is_not_asked_for(job_id: str) -> None:
    with answering(Says(JOB)) as (backend, host):
        with pytest.raises(errors.JobNotFoundError):
            backend.job(job_id)
        with pytest.raises(errors.UnknownFileError):
            backend.file(job_id)
        assert not host.asked


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    with answering(Says(JOB)) as (backend, host):
        backend.job("../../files?x=1#y")
        assert host.asked[0].path == "/v1/fine_tuning/jobs/..%2F..%2Ffiles%3Fx%3D1%23y"


def test_a_host_that_does_not_answer_is_left_when_patience_ends() -> None:
    with answering(Says(JOB)) as (_, host):
        gone = threading.Event()

        def late(_: Asked) -> Says:
            gone.wait(5)
            return Says(JOB)

        host.answer = late
        with HostedBackend("sk-1234567890", host.url, timeout_seconds=0.05) as backend:
            with pytest.raises(errors.HostUnavailableError, match="in time"):
                backend.job("ftjob-1")
            with pytest.raises(errors.UnclearOutcomeError, match="in time"):
                backend.start(spec())
        gone.set()


def test_jobs_come_from_all_pages_the_newest_first_and_once() -> None:
    jobs = [{**JOB, "id": f"ftjob-{number}", "created_at": 1000 + number} for number in range(250, 0, -1)]

    def answer(asked: Asked) -> Says:
        after = asked.query.get("after", [""])[0]
        start = next((place for place, job in enumerate(jobs, 1) if job["id"] == after), 0)
        page = jobs[max(0, start - 1) : start + 100]  # hosts may repeat the one at the cursor
        return Says({"data": page, "has_more": start + 100 < len(jobs)})

    with answering(answer) as (backend, _):
        assert [state.id for state in backend.jobs()] == [job["id"] for job in jobs]


def test_one_page_of_jobs_costs_one_question() -> None:
    with answering(Says({"data": [JOB], "has_more": True})) as (backend, host):
        assert isinstance(backend, ListsJobs)
        assert isinstance(backend, TellsTime)
        page = backend.job_page(after="ftjob-9", limit=7)
        assert page.more
        assert [state.id for state in page.jobs] == ["ftjob-1"]
        assert host.asked[0].query == {"limit": ["7"], "after": ["ftjob-9"]}
        assert backend.host_time() is not None


def test_a_job_that_nobody_can_read_hides_no_other() -> None:
    with answering(Says({"data": [{"status": "running"}, JOB, None, 7]})) as (backend, _):
        assert [state.id for state in backend.jobs()] == ["ftjob-1"]
        assert [state.id for state in backend.job_page().jobs] == ["ftjob-1"]


def test_jobs_of_a_specification_are_known_by_file_model_and_suffix_where_no_token_is_kept() -> None:
    order = spec(suffix="tone")
    mine = {**JOB, "training_file": "file-1", "suffix": "tone"}
    others = [{**mine, "id": "x", "training_file": "file-2"}, {**mine, "id": "y", "suffix": "other"}]
    untold = {**mine, "id": "ftjob-0", "suffix": None}
    with answering(Says({"data": [*others, mine, untold]}), host="nebius") as (backend, _):
        assert [state.id for state in backend.started(order)] == ["ftjob-0", "ftjob-1"]


def test_cancelling_a_job_that_has_ended_gives_its_state() -> None:
    ended = {**JOB, "status": "cancelled"}
    with answering(lambda asked: error(400, "already") if asked.method == "POST" else Says(ended)) as (backend, _):
        assert backend.cancel("ftjob-1").status == "cancelled"


def test_a_job_that_cannot_be_paused_goes_on() -> None:
    with answering(Says(JOB), host="nebius") as (backend, host):
        with pytest.raises(errors.BackendError, match="cannot be paused"):
            backend.pause("ftjob-1")
        assert not host.paths()


def test_a_profile_adds_to_a_creation_and_takes_no_token_away() -> None:
    profile = host_profile("openai").model_copy(
        update={"extra_body": {"metadata": {}, "model": "other", "tier": "low"}}
    )
    body = body_of(asked := spec(token="token-1"), profile)
    assert body["tier"] == "low"
    assert body["model"] == asked.model.model
    assert "token-1" in str(body["metadata"])
