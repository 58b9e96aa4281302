"""Files are sent as they are read, and their fate is told from a cut connection."""

from __future__ import annotations

import pytest

from finetune_kit import HostedBackend, errors
from finetune_kit.testing import HostSimulator
from finetune_kit.uploads import SpooledFile
from tests.backends.hosted.scripted_host import Asked, Says, answering, error

FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 5, "filename": "a.jsonl", "purpose": "fine-tune"}


def spooled(size: int = 3, name: str = "训练 a.jsonl") -> SpooledFile:
    return SpooledFile.of([b"x" * (size - 1)], filename=name)


def test_a_file_goes_in_one_piece_with_its_name_type_and_progress() -> None:
    told: list[int] = []
    with answering(Says(FILE)) as (backend, host):
        state = backend.upload(spooled(300_000), on_progress=told.append)
    assert (state.id, state.filename, state.size_bytes) == ("file-1", "a.jsonl", 3)
    [asked] = host.asked
    assert asked.path == "/v1/files"
    assert b'name="purpose"\r\n\r\nfine-tune' in asked.body
    assert 'filename="训练 a.jsonl"'.encode() in asked.body
    assert b"Content-Type: application/jsonl" in asked.body
    assert b"x" * 299_999 + b"\n" in asked.body
    assert told == sorted(told)
    assert told[-1] == 300_000
    assert len(told) > 3


@pytest.mark.parametrize("says", [error(500), Says(hang_up=True), Says(FILE, cut=True), Says(b"<p>"), Says({})])
def test_a_file_whose_reply_was_lost_may_be_there(says: Says) -> None:
    with answering(says) as (backend, host):
        with pytest.raises(errors.UnclearOutcomeError):
            backend.upload(spooled())
        assert len(host.asked) == 1


def test_a_file_that_was_refused_is_not_there() -> None:
    with answering(error(400, "Invalid file format", param="file")) as (backend, _):
        with pytest.raises(errors.RequestRefusedError, match="Invalid file format") as caught:
            backend.upload(spooled())
        assert caught.value.parameter == "file"


def test_a_file_that_no_way_takes_is_refused_before_it_is_sent() -> None:
    with answering(Says(FILE), host="crusoe") as (backend, host):
        file = spooled()
        file.size_bytes = backend.profile.max_file_bytes + 1
        with pytest.raises(errors.FileTooLargeError) as caught:
            backend.upload(file)
        assert caught.value.max_bytes == backend.profile.max_file_bytes
        assert not host.asked


def test_training_files_are_listed_the_newest_first_without_results() -> None:
    files = [{**FILE, "id": "old", "created_at": 1}, {**FILE, "id": "new", "created_at": 9}]
    files += [{**FILE, "id": "result", "purpose": "fine-tune-results"}, {"purpose": "fine-tune"}]
    with answering(Says({"data": files, "has_more": False})) as (backend, _):
        assert [state.id for state in backend.files()] == ["new", "old"]


def test_a_file_is_read_fetched_and_deleted() -> None:
    def answer(asked: Asked) -> Says:
        return (
            Says(b"\x00\xffbytes", content_type="application/octet-stream") if "content" in asked.path else Says(FILE)
        )

    with answering(answer) as (backend, host):
        assert backend.file("file-1").status == "processed"
        assert backend.file_content("file-1") == b"\x00\xffbytes"
        backend.delete_file("file-1")
        assert host.paths("DELETE") == ["/files/file-1"]


def test_a_page_of_html_is_no_file_and_no_proof_of_a_deletion() -> None:
    page = Says(b"<html>Sign in", content_type="text/html")
    with answering(page) as (backend, _):
        for call in (backend.file_content, backend.delete_file):
            with pytest.raises(errors.HostReplyError, match="HTML"):
                call("file-1")


def test_a_file_that_is_not_there_is_unknown() -> None:
    with answering(error(404, "No such File object: file-9")) as (backend, _):
        for call in (backend.file, backend.file_content, backend.delete_file):
            with pytest.raises(errors.UnknownFileError) as caught:
                call("file-9")
            assert caught.value.file_id == "file-9"


def test_a_file_that_the_host_cannot_use_says_why() -> None:
    with answering(Says({**FILE, "status": "error", "status_details": "line 3\x1b[31m is no JSON"})) as (backend, _):
        state = backend.file("file-1")
        assert (state.status, state.reason) == ("error", "line 3[31m is no JSON")


def test_the_sending_of_a_large_file_is_told_from_its_beginning_to_its_end() -> None:
    told: list[tuple[str, float]] = []

    def progress(what: str, share: float) -> None:
        told.append((what, share))

    small = SpooledFile.of([b"{}"] * 10, filename="small.jsonl")
    large = SpooledFile.of([b'{"prompt": "' + b"x" * 1_000 + b'", "completion": "y"}'] * 6_000, filename="large.jsonl")
    with HostSimulator() as host, HostedBackend(host.api_key, host.base_url, progress=progress) as backend:
        backend.upload(small)
        assert told == []
        backend.upload(large)
    shares = [share for _, share in told]
    assert {what for what, _ in told} == {"Sending large.jsonl, 6 MB"}
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.5
    assert shares[-1] == 1
