"""Objects have the fields that the published description of the API shows in its examples, no more and no fewer."""

from __future__ import annotations

from typing import Any

import httpx2
from openai import OpenAI

from finetune_kit.testing import HostSimulator
from tests.testing.simulator.clients import ended, started, uploaded

JOB = (
    "object id model created_at fine_tuned_model organization_id result_files status validation_file training_file "
    "hyperparameters method metadata error finished_at seed trained_tokens estimated_finish integrations "
    "user_provided_suffix usage_metrics shared_with_openai"
)
EVENT = "object id created_at level message data type"
CHECKPOINT = "object id created_at fine_tuned_model_checkpoint metrics fine_tuning_job_id step_number"
FILE = "object id bytes created_at expires_at filename purpose status status_details"  # the last two are deprecated


def told(host: HostSimulator, path: str) -> dict[str, Any]:
    answer = httpx2.get(f"{host.base_url}{path}", headers={"Authorization": f"Bearer {host.api_key}"})
    return dict(answer.json())


def test_jobs_events_checkpoints_and_files_have_their_published_fields(host: HostSimulator, client: OpenAI) -> None:
    path = f"/fine_tuning/jobs/{ended(client, started(client).id).id}"
    assert set(told(host, path)) == set(JOB.split())
    events, checkpoints, files = (told(host, one) for one in (f"{path}/events", f"{path}/checkpoints", "/files"))
    assert set(events) == {"object", "data", "has_more"}
    assert set(checkpoints) == set(files) == {"object", "data", "first_id", "last_id", "has_more"}
    for page, fields in ((events, EVENT), (checkpoints, CHECKPOINT), (files, FILE)):
        assert page["data"]
        assert all(set(one) == set(fields.split()) for one in page["data"])


def test_jobs_without_metadata_can_be_asked_for(host: HostSimulator, client: OpenAI) -> None:
    file = uploaded(client).id
    without = client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file)
    client.fine_tuning.jobs.create(model="gpt-4.1", training_file=file, metadata={"a": "b"})
    assert [job["id"] for job in told(host, "/fine_tuning/jobs?metadata=null")["data"]] == [without.id]


def test_azure_wants_a_content_type_of_the_file() -> None:
    form = (
        b'--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n--b\r\n'
        b'Content-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n\xef\xbb\xbf{}\r\n--b--\r\n'
    )
    with HostSimulator(host="azure") as host:
        headers = {"api-key": host.api_key, "Content-Type": "multipart/form-data; boundary=b"}
        refused = httpx2.post(f"{host.base_url}/files", headers=headers, content=form)
        assert refused.status_code == 400
        assert "content type" in refused.json()["error"]["message"]
        typed = form.replace(b'"a.jsonl"\r\n', b'"a.jsonl"\r\nContent-Type: application/jsonl\r\n')
        assert httpx2.post(f"{host.base_url}/files", headers=headers, content=typed).status_code == 200
