"""Files in parts: in order, checked, and within an hour."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types import Upload

from finetune_kit.testing import FLAVOURS, HostSimulator
from tests.testing.simulator.clients import chat_lines, client_of, ended

CONTENT = chat_lines(30)
HALF = len(CONTENT) // 2


def begun(client: OpenAI, *, size_bytes: int = len(CONTENT)) -> Upload:
    return client.uploads.create(
        bytes=size_bytes, filename="training.jsonl", mime_type="application/jsonl", purpose="fine-tune"
    )


def parts_of(client: OpenAI, upload: Upload) -> list[str]:
    halves = CONTENT[:HALF], CONTENT[HALF:]
    return [client.uploads.parts.create(upload.id, data=half).id for half in reversed(halves)][::-1]


def test_parts_may_arrive_in_any_order_and_become_one_file(client: OpenAI) -> None:
    upload = begun(client)
    assert upload.status == "pending"
    parts = parts_of(client, upload)
    done = client.uploads.complete(upload.id, part_ids=parts, md5=hashlib.md5(CONTENT).hexdigest())
    assert done.status == "completed"
    assert done.file is not None
    assert done.file.filename == "training.jsonl"
    assert client.files.content(done.file.id).read() == CONTENT
    job = client.fine_tuning.jobs.create(model="gpt-4.1", training_file=done.file.id)
    assert ended(client, job.id).status == "succeeded"


def test_the_official_helper_works_too(client: OpenAI) -> None:
    done = client.uploads.upload_file_chunked(
        file=CONTENT,
        filename="training.jsonl",
        bytes=len(CONTENT),
        mime_type="application/jsonl",
        purpose="fine-tune",
        part_size=1000,
    )
    assert done.file is not None
    assert client.files.content(done.file.id).read() == CONTENT


def test_a_wrong_checksum_is_refused_and_can_be_mended(client: OpenAI) -> None:
    upload = begun(client)
    parts = parts_of(client, upload)
    with pytest.raises(BadRequestError, match="MD5"):
        client.uploads.complete(upload.id, part_ids=parts, md5="0" * 32)
    with pytest.raises(BadRequestError, match="MD5"):
        client.uploads.complete(upload.id, part_ids=parts[::-1], md5=hashlib.md5(CONTENT).hexdigest())
    assert client.uploads.complete(upload.id, part_ids=parts).status == "completed"


def test_the_bytes_must_be_as_many_as_were_announced(client: OpenAI) -> None:
    upload = begun(client)
    [first, _] = parts_of(client, upload)
    with pytest.raises(BadRequestError, match=f"{len(CONTENT)} were announced"):
        client.uploads.complete(upload.id, part_ids=[first])
    with pytest.raises(BadRequestError, match="more bytes"):
        client.uploads.parts.create(upload.id, data=b"x")


def test_a_part_has_a_largest_size() -> None:
    with HostSimulator(host=replace(FLAVOURS["openai"], max_part_bytes=1000)) as host, client_of(host) as client:
        upload = begun(client)
        client.uploads.parts.create(upload.id, data=CONTENT[:1000])
        with pytest.raises(Exception, match="size limit"):
            client.uploads.parts.create(upload.id, data=CONTENT[:1001])


def test_unknown_and_repeated_parts_are_refused(client: OpenAI) -> None:
    upload = begun(client)
    [first, _] = parts_of(client, upload)
    with pytest.raises(BadRequestError, match="No such Upload Part"):
        client.uploads.complete(upload.id, part_ids=[first, "part_of_another"])
    with pytest.raises(BadRequestError, match="only once"):
        client.uploads.complete(upload.id, part_ids=[first, first])
    with pytest.raises(NotFoundError, match="No such Upload object"):
        client.uploads.complete("upload_of_nobody", part_ids=[first])


def test_an_upload_expires_after_an_hour(host: HostSimulator, client: OpenAI) -> None:
    upload = begun(client)
    parts = parts_of(client, upload)
    assert upload.expires_at - upload.created_at == 3600
    host.clock_skew_seconds = 3601
    with pytest.raises(BadRequestError, match="is expired"):
        client.uploads.complete(upload.id, part_ids=parts)


def test_a_cancelled_upload_takes_no_more(client: OpenAI) -> None:
    upload = begun(client)
    assert client.uploads.cancel(upload.id).status == "cancelled"
    with pytest.raises(BadRequestError, match="is cancelled"):
        client.uploads.parts.create(upload.id, data=b"x")


def test_hosts_without_parts_have_no_such_call() -> None:
    with (
        HostSimulator(host="bare") as host,
        client_of(host) as client,
        pytest.raises(NotFoundError, match="Invalid URL"),
    ):
        begun(client)
