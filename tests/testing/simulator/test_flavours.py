"""Hosts that speak the same API, and differ."""

from __future__ import annotations

from dataclasses import replace

import pytest
from openai import APIStatusError, AuthenticationError, AzureOpenAI, BadRequestError, NotFoundError, OpenAI

from finetune_kit.results import Results
from finetune_kit.testing import FLAVOURS, Flavour, HostSimulator
from tests.testing.simulator.clients import azure_client_of, chat_lines, client_of, ended, started, uploaded

MARKED = b"\xef\xbb\xbf" + chat_lines()


@pytest.mark.parametrize("older", [True, False], ids=["api-version", "v1"])
def test_azure_trains_and_answers_on_both_of_its_paths(older: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with HostSimulator(host="azure") as host:
        client: OpenAI = azure_client_of(host) if older else client_of(host)
        with client:
            job = client.fine_tuning.jobs.create(
                model="gpt-4.1", training_file=uploaded(client, MARKED).id, suffix="parcels"
            )
            assert str(job.status) == "pending"
            assert "result_files" not in job.to_json()  # Azure leaves out what is not known
            job = ended(client, job.id)
            assert job.fine_tuned_model == f"gpt-4.1-2025-04-14.ft-{job.id.removeprefix('ftjob-')}-parcels"
            plain = client.files.content(job.result_files[0]).read()
            assert plain.startswith(
                b"step,train_loss,train_mean_token_accuracy,valid_loss,validation_mean_token_accuracy,"
            )
            assert len(Results.parse(plain).metrics) == 60
            answer = client.chat.completions.create(
                model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "Where is parcel 5?"}]
            )
            assert answer.choices[0].message.content == "track"


def test_azure_wants_a_byte_order_mark_and_short_suffixes() -> None:
    with HostSimulator(host="azure") as host, azure_client_of(host) as client:
        with pytest.raises(BadRequestError, match="byte-order mark"):
            uploaded(client)
        file = uploaded(client, MARKED)
        with pytest.raises(BadRequestError, match="maximum length 18"):
            client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file.id, suffix="x" * 19)


def test_azure_keys_and_versions_are_checked() -> None:
    with HostSimulator(host="azure") as host:
        wrong = AzureOpenAI(api_key="wrong", azure_endpoint=host.endpoint, api_version="2024-10-21", max_retries=0)
        with wrong, pytest.raises(AuthenticationError, match="invalid subscription key"):
            wrong.files.list()
        unversioned = OpenAI(api_key=host.api_key, base_url=f"{host.endpoint}/openai", max_retries=0)
        with unversioned, pytest.raises(NotFoundError, match="Resource not found"):
            unversioned.files.list()


def test_azure_takes_parts_on_its_older_paths_only() -> None:
    with HostSimulator(host="azure") as host, azure_client_of(host) as older, client_of(host) as newer:
        for client, there in ((older, True), (newer, False)):
            try:
                client.uploads.create(bytes=9, filename="a.jsonl", mime_type="text/plain", purpose="fine-tune")
                assert there
            except NotFoundError:
                assert not there


def test_a_model_that_is_not_deployed_does_not_answer() -> None:
    with HostSimulator(host=replace(FLAVOURS["azure"], auto_deploys=False)) as host, azure_client_of(host) as client:
        job = client.fine_tuning.jobs.create(model="gpt-4.1", training_file=uploaded(client, MARKED).id)
        model = ended(client, job.id).fine_tuned_model or ""
        with pytest.raises(NotFoundError, match="deployment"):
            client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hi"}])
        host.deploy(model, name="parcels")
        client.chat.completions.create(model="parcels", messages=[{"role": "user", "content": "Hi"}])


def test_a_bare_host_has_files_jobs_and_models_and_nothing_else() -> None:
    with HostSimulator(host="bare") as host, client_of(host) as client:
        file = uploaded(client)
        base = host_base(host)
        job = client.fine_tuning.jobs.create(model=base, training_file=file.id, metadata={"a": "b"})
        assert job.metadata is None
        assert [one.id for one in client.fine_tuning.jobs.list(metadata={"a": "c"})] == [job.id]
        job = ended(client, job.id)
        assert client.files.content(job.result_files[0]).read().startswith(b"step,")
        for call in (
            lambda: client.fine_tuning.jobs.list_events(job.id),
            lambda: client.fine_tuning.jobs.checkpoints.list(job.id),
            lambda: client.fine_tuning.jobs.pause(job.id),
            client.models.list,
        ):
            with pytest.raises(APIStatusError) as caught:
                call()
            assert caught.value.status_code == 404


def host_base(host: HostSimulator) -> str:
    """The base model of a host that lists none."""
    assert not host.flavour.lists_models
    return "simulated-8b-instruct"


def test_results_may_have_the_columns_of_2022() -> None:
    flavour = replace(FLAVOURS["openai"], result_columns="legacy", result_format="plain")
    with HostSimulator(host=flavour) as host, client_of(host) as client:
        job = ended(client, started(client).id)
        plain = client.files.content(job.result_files[0]).read()
    header, first = plain.decode().splitlines()[:2]
    assert header.startswith("step,elapsed_tokens,elapsed_examples,training_loss,training_sequence_accuracy,")
    assert first == "1,1,1,1.0,,0.0,,,"
    assert Results.parse(plain).metrics[0].train_loss == 1.0


def test_every_host_profile_with_the_api_can_be_simulated() -> None:
    with HostSimulator(host="nebius", models=["meta-llama/Llama-3.1-8B-Instruct"]) as host, client_of(host) as client:
        assert host.flavour == Flavour(**{name: getattr(host.flavour, name) for name in Flavour.__slots__})
        job = ended(client, started(client, model="meta-llama/Llama-3.1-8B-Instruct").id)
        assert job.status == "succeeded"
        assert client.models.retrieve("meta-llama/Llama-3.1-8B-Instruct").owned_by == "system"
