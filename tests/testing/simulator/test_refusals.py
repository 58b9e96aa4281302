"""The host refuses what the real one refuses, with its codes."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from openai import APIStatusError, OpenAI

from finetune_kit.errors import ParameterError
from finetune_kit.testing import FLAVOURS, HostSimulator, Pace
from tests.testing.simulator.clients import chat_lines, client_of, ended, started, uploaded


def refused(client: OpenAI, **changed: Any) -> tuple[int, str | None, str | None]:
    """Status, code and parameter of the answer to a job that is changed like this."""
    body = {"model": "gpt-4.1", "training_file": uploaded(client).id, **changed}
    with pytest.raises(APIStatusError) as caught:
        client.post("/fine_tuning/jobs", body=body, cast_to=object)
    assert caught.value.body is not None
    assert caught.value.message
    return caught.value.status_code, caught.value.code, caught.value.param


SUPERVISED = "method.supervised.hyperparameters"


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("n_epochs", 0, "integer_below_min_value"),
        ("n_epochs", 51, "integer_above_max_value"),
        ("n_epochs", 1.5, "invalid_type"),
        ("n_epochs", True, "invalid_type"),
        ("batch_size", 257, "integer_above_max_value"),
        ("learning_rate_multiplier", 0, "decimal_below_min_value"),
        ("beta", 0.1, "unknown_parameter"),
    ],
)
def test_hyperparameters_have_their_ranges(client: OpenAI, name: str, value: object, code: str) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {name: value}}}
    assert refused(client, method=method) == (400, code, f"{SUPERVISED}.{name}")
    found = refused(client, hyperparameters={name: value})  # as in 2023
    assert found == (400, code, f"hyperparameters.{name}")


@pytest.mark.parametrize(
    ("changed", "code", "param"),
    [
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": 7}, "invalid_type", "model"),
        ({"training_file": None}, "missing_required_parameter", "training_file"),
        ({"training_file": "file-of-nobody"}, None, "training_file"),
        ({"validation_file": "file-of-nobody"}, None, "validation_file"),
        ({"model": "gpt-6-luna"}, "model_not_available", "model"),
        ({"seed": -1}, "integer_below_min_value", "seed"),
        ({"seed": 2**31}, "integer_above_max_value", "seed"),
        ({"suffix": "x" * 65}, "string_above_max_length", "suffix"),
        ({"suffix": ""}, "string_below_min_length", "suffix"),
        ({"metadata": {str(n): "" for n in range(17)}}, "object_above_max_properties", "metadata"),
        ({"metadata": {"k" * 65: ""}}, "string_above_max_length", "metadata"),
        ({"metadata": {"k": "v" * 513}}, "string_above_max_length", "metadata.k"),
        ({"metadata": {"k": 1}}, "invalid_type", "metadata.k"),
        ({"method": {"type": "magic"}}, "invalid_value", "method.type"),
        ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 3}}}}, "decimal_above_max_value", None),
        ({"method": {"type": "reinforcement", "reinforcement": {}}}, "missing_required_parameter", None),
    ],
)
def test_a_job_with_a_wrong_value_is_refused(
    client: OpenAI, changed: dict[str, Any], code: str | None, param: str | None
) -> None:
    status, found, named = refused(client, **changed)
    assert (status, found) == (400, code)
    assert param in (None, named)


def test_a_job_that_is_no_object_is_refused(host: HostSimulator) -> None:
    for content in (b"[1]", b"{", b"\xff"):
        answer = httpx2.post(
            f"{host.base_url}/fine_tuning/jobs", headers={"Authorization": f"Bearer {host.api_key}"}, content=content
        )
        assert answer.status_code == 400
        assert "could not parse the JSON body" in answer.json()["error"]["message"]


def test_a_file_that_is_still_processed_cannot_be_trained_on() -> None:
    with HostSimulator(pace=Pace(processing_seconds=60)) as host, client_of(host) as client:
        assert uploaded(client).status == "uploaded"
        status, code, param = refused(client)
        assert (status, code, param) == (400, "file_not_ready", "training_file")


def test_an_organisation_that_is_cut_off_can_still_upload(host: HostSimulator, client: OpenAI) -> None:
    host.training_allowed = False
    assert refused(client) == (403, "training_not_available", None)


def test_only_so_many_jobs_may_wait() -> None:
    with HostSimulator(max_pending_jobs=2, pace=Pace.by_hand()) as host, client_of(host) as client:
        first = started(client)
        started(client)
        assert refused(client)[:2] == (429, "rate_limit_exceeded")
        [limit] = [one for one in limits_of(client) if one["id"] == "gpt-4.1-2025-04-14"]
        assert (limit["curr_pending_jobs"], limit["max_pending_jobs"]) == (2, 2)
        host.finish(first.id)
        started(client)


def limits_of(client: OpenAI) -> list[dict[str, Any]]:
    answer: Any = client.get("/fine_tuning/model_limits", cast_to=object)
    return list(answer["data"])


def test_a_model_may_be_closed_to_training_and_answer_on(host: HostSimulator, client: OpenAI) -> None:
    host.close_to_training("gpt-4.1")
    assert refused(client)[1] == "model_not_available"
    client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": "Hi"}])


def test_a_model_that_was_shut_down_is_gone() -> None:
    model = "gpt-4.1-2025-04-14"
    with HostSimulator(shutdown_dates={model: "2100-01-14"}) as host, client_of(host) as client:
        job = ended(client, started(client).id)
        assert getattr(client.models.retrieve(model), "shutdown_date") == "2100-01-14"  # noqa: B009 - the client's type lacks it
        host.clock_skew_seconds = 100 * 366 * 86_400
        for name in (model, job.fine_tuned_model or ""):
            with pytest.raises(APIStatusError, match="does not exist"):
                client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
        assert model not in [one.id for one in client.models.list()]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (chat_lines(9), "invalid_n_examples"),
        (b"\xef\xbb\xbf" + chat_lines(), "invalid_file_format"),
        (b'{"neither": 1}\n' * 12, "invalid_file_format"),
        (b"no json\n" * 12, "invalid_file_format"),
        (b'{"prompt": "a", "completion": "b"}\n' * 12, "invalid_file_format"),
        (chat_lines(11) + b'\n{"prompt": "a", "completion": "b"}', "invalid_file_format"),
    ],
)
def test_a_bad_training_file_fails_the_job(client: OpenAI, content: bytes, code: str) -> None:
    job = ended(client, client.fine_tuning.jobs.create(model="gpt-4.1", training_file=uploaded(client, content).id).id)
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == (code, "training_file")
    last = client.fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert (last.level, job.error.message in last.message) == ("error", True)


def test_a_file_that_vanishes_before_it_is_read_fails_the_job() -> None:
    with HostSimulator(pace=Pace.by_hand()) as host, client_of(host) as client:
        job = started(client)
        client.files.delete(job.training_file)
        assert host.finish(job.id) == "failed"


@pytest.mark.parametrize(
    ("file", "purpose", "message"),
    [
        (("training.csv", b"x", "text/csv"), "fine-tune", "Must be .jsonl"),
        (("training.jsonl", b"", "text/csv"), "fine-tune", "empty"),
        (("training.jsonl", b"x", "text/csv"), "world peace", "is not one of"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(
    client: OpenAI, file: tuple[str, bytes, str], purpose: Any, message: str
) -> None:
    with pytest.raises(APIStatusError, match=message):
        client.files.create(file=file, purpose=purpose)
    assert client.files.list().data == []


def test_a_file_of_another_purpose_cannot_be_trained_on(client: OpenAI) -> None:
    other = client.files.create(file=("a.jsonl", chat_lines(), "text/plain"), purpose="batch")
    assert refused(client, training_file=other.id)[1:] == ("invalid_file_purpose", "training_file")


def test_a_file_expires_when_it_was_asked_to(host: HostSimulator, client: OpenAI) -> None:
    after = {"anchor": "created_at", "seconds": 3600}
    content: Any = ("training.jsonl", chat_lines(), "text/plain")
    expires: Any = after
    file = client.files.create(file=content, purpose="fine-tune", expires_after=expires)
    assert file.expires_at == file.created_at + 3600
    host.clock_skew_seconds = 3600
    with pytest.raises(APIStatusError, match="No such File"):
        client.files.retrieve(file.id)


@pytest.mark.parametrize(
    "body", [{"temperature": 2.1}, {"stop": list("abcde")}, {"n": 0}, {"top_logprobs": 3}, {"messages": []}]
)
def test_a_question_out_of_range_is_refused(client: OpenAI, body: dict[str, Any]) -> None:
    asked = {"model": "gpt-4.1", "messages": [{"role": "user", "content": "Hi"}], **body}
    with pytest.raises(APIStatusError) as caught:
        client.post("/chat/completions", body=asked, cast_to=object)
    assert caught.value.status_code == 400
    assert caught.value.param in body


def test_unknown_things_are_not_found(client: OpenAI) -> None:
    for path in ("/files/file-x", "/fine_tuning/jobs/ftjob-x", "/fine_tuning/jobs/ftjob-x/events", "/models/x", "/x"):
        with pytest.raises(APIStatusError) as caught:
            client.get(path, cast_to=object)
        assert caught.value.status_code == 404


def test_unknown_hosts_and_dates_are_refused_at_once() -> None:
    with pytest.raises(ParameterError, match="nowhere"):
        HostSimulator(host="nowhere")
    with pytest.raises(ParameterError, match="soon"):
        HostSimulator(shutdown_dates={"gpt-4.1-2025-04-14": "soon"})
    assert set(FLAVOURS) == {"openai", "azure", "bare"}
