"""Files over the limit go in parts, and what has arrived is not sent again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import md5

import pytest

from finetune_kit import HostedBackend, errors
from finetune_kit.backends.protocol import PartJournal
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.scripted_host import KEY, Asked, Says, ScriptedHost, error

PART = 1000


@dataclass
class Journal:
    """A `PartJournal` in memory."""

    upload_id: str | None = None
    parts: dict[int, str] = field(default_factory=dict)
    part_bytes: int | None = None

    def begin(self, upload_id: str, *, part_bytes: int) -> None:
        self.upload_id, self.part_bytes = upload_id, part_bytes
        self.parts = {}

    def arrived(self, number: int, part_id: str) -> None:
        self.parts[number] = part_id


class Uploads:
    """The uploads API: keeps parts, puts them together, and can be told to fail."""

    def __init__(self) -> None:
        self.begun = 0
        self.parts: dict[str, bytes] = {}
        self.over: set[str] = set()
        self.failures: dict[int, list[Says]] = {}
        self.complete: list[Says] = []
        self.file: bytes | None = None

    def __call__(self, asked: Asked) -> Says:
        path = asked.path.removeprefix("/v1/uploads")
        if not path:
            self.begun += 1
            return Says({"id": f"upload_{self.begun}", "status": "pending"})
        upload, word = path.strip("/").split("/")
        if upload in self.over:
            return error(400, f"Upload {upload} has expired.")
        if word == "cancel":
            self.over.add(upload)
            return Says({"id": upload, "status": "cancelled"})
        if word == "parts":
            head, _, rest = asked.body.partition(b"\r\n\r\n")
            number = int(head.partition(b"part-")[2].partition(b'"')[0])
            if self.failures.get(number):
                return self.failures[number].pop(0)
            part_id = f"part_{upload}_{number}_{len(self.parts)}"
            self.parts[part_id] = rest.rpartition(b"\r\n--")[0]
            return Says({"id": part_id})
        if self.complete:
            return self.complete.pop(0)
        told = asked.json
        ids = told["part_ids"]
        assert isinstance(ids, list)
        self.file = b"".join(self.parts[one] for one in ids)
        if md5(self.file, usedforsecurity=False).hexdigest() != told["md5"]:
            return error(400, "md5 does not match")
        file = {"id": "file-1", "bytes": len(self.file), "filename": "a.jsonl", "created_at": 1}
        return Says({"id": upload, "status": "completed", "file": file})


@contextmanager
def taking_parts(uploads: Uploads) -> Generator[tuple[HostedBackend, ScriptedHost]]:
    host = ScriptedHost(uploads)
    try:
        with HostedBackend(KEY, host.url) as backend:
            update = {"max_file_bytes": 2 * PART, "max_upload_bytes": 50 * PART, "upload_part_bytes": PART}
            backend._connection.profile = backend.profile.model_copy(update=update)
            yield backend, host
    finally:
        host.close()


def spooled(size: int = 7 * PART + 123) -> SpooledFile:
    return SpooledFile.of([bytes(65 + number // PART for number in range(size - 1))], filename="a.jsonl")


def sent(host: ScriptedHost) -> list[str]:
    return [path for path in host.paths() if path.endswith("/parts")]


def test_a_large_file_arrives_whole_and_in_order() -> None:
    uploads, told, file = Uploads(), list[int](), spooled()
    with taking_parts(uploads) as (backend, host):
        state = backend.upload(file, on_progress=told.append)
        assert len(sent(host)) == 8
    assert (state.id, state.size_bytes) == ("file-1", file.size_bytes)
    assert uploads.file == file.content()
    assert max(told) == file.size_bytes


def test_a_small_file_goes_in_one_piece() -> None:
    with taking_parts(Uploads()) as (backend, host):
        host.answer = lambda _: Says({"id": "file-1"})
        backend.upload(spooled(2 * PART))
        assert host.paths() == ["/files"]


def test_a_file_over_every_limit_is_refused() -> None:
    with taking_parts(Uploads()) as (backend, host):
        with pytest.raises(errors.FileTooLargeError):
            backend.upload(spooled(51 * PART))
        assert not host.asked


def test_a_part_that_fails_is_sent_again() -> None:
    uploads, file = Uploads(), spooled()
    uploads.failures = {2: [error(500), Says(hang_up=True)], 5: [Says(b"<html>"), error(429)]}
    with taking_parts(uploads) as (backend, host):
        backend.upload(file)
        assert len(sent(host)) == 8 + 4
    assert uploads.file == file.content()


def test_what_has_arrived_is_not_sent_again() -> None:
    uploads, file, journal = Uploads(), spooled(), Journal()
    uploads.failures = {6: [error(503)] * 4}
    with taking_parts(uploads) as (backend, host):
        with pytest.raises(errors.HostUnavailableError):
            backend.upload(file, journal=journal)
        before, kept = len(sent(host)), len(journal.parts)
        assert 0 < kept < 8
        told: list[int] = []
        backend.upload(file, journal=journal, on_progress=told.append)
        assert len(sent(host)) - before == 8 - kept
        assert told[0] >= kept * PART - PART
    assert uploads.begun == 1
    assert uploads.file == file.content()


def test_an_upload_that_is_over_begins_anew() -> None:
    uploads, file = Uploads(), spooled()
    journal = Journal("upload_0", {0: "part_lost"})
    uploads.over.add("upload_0")
    with taking_parts(uploads) as (backend, _):
        backend.upload(file, journal=journal)
    assert (uploads.begun, journal.upload_id) == (1, "upload_1")
    assert uploads.file == file.content()


def test_parts_of_another_size_are_not_mixed() -> None:
    uploads, file = Uploads(), spooled()
    journal = Journal("upload_0", {0: "part_of_500_bytes"}, part_bytes=500)
    with taking_parts(uploads) as (backend, _):
        backend.upload(file, journal=journal)
    assert journal.part_bytes == PART
    assert uploads.file == file.content()


@pytest.mark.parametrize("says", [error(500), Says(hang_up=True), Says(b"<html>"), Says({"id": "upload_1"})])
def test_a_completion_without_a_clear_answer_leaves_it_open_whether_the_file_is_there(says: Says) -> None:
    uploads = Uploads()
    uploads.complete = [says]
    with taking_parts(uploads) as (backend, host):
        with pytest.raises(errors.UnclearOutcomeError):
            backend.upload(spooled())
        assert not [path for path in host.paths() if path.endswith("/cancel")]


def test_a_refused_upload_is_cancelled() -> None:
    uploads = Uploads()
    uploads.complete = [error(400, "no", code="invalid_file")]
    with taking_parts(uploads) as (backend, _), pytest.raises(errors.RequestRefusedError):
        backend.upload(spooled(), journal=Journal())
    assert uploads.over == {"upload_1"}


def test_a_host_without_uploads_says_so() -> None:
    with taking_parts(Uploads()) as (backend, host):
        host.answer = lambda _: error(404, "Resource not found")
        with pytest.raises(errors.FileTooLargeError, match="uploads API"):
            backend.upload(spooled())


def test_the_journal_here_is_one() -> None:
    journal: PartJournal = Journal()
    assert journal.upload_id is None
