"""An archive holds against two at once, links, damage, wrong arguments and files of any size."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import finetune_kit
from finetune_kit import FineTuneJob, HostedBackend, archive_all
from finetune_kit.archiving import Answers, Archive, verify
from finetune_kit.archiving.folder import put, tidied
from finetune_kit.errors import FormatError, HostReplyError, ParameterError, StorageError
from finetune_kit.testing import Fault, HostSimulator, MemoryBackend
from tests.archiving.places import chat_rows, ended, lines, started

TRAINING, VALIDATION = lines(chat_rows(range(20))), lines(chat_rows(range(20, 28)))
TWO = """
import sys
from finetune_kit import FineTuneJob, HostedBackend

key, address, job_id, folder = sys.argv[1:]
assert FineTuneJob.attach(job_id, HostedBackend(api_key=key, base_url=address)).archive(folder).whole
"""

SIZED = TWO + 'print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])'


@pytest.fixture
def job(host: HostSimulator, backend: HostedBackend) -> FineTuneJob:
    return FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)


def test_two_archivers_in_one_folder_take_turns_and_fetch_nothing_twice(
    host: HostSimulator, job: FineTuneJob, tmp_path: Path
) -> None:
    host.faults.add(Fault("slow", "GET /files/**", seconds=0.3, times=None))
    command = [sys.executable, "-c", TWO, host.api_key, host.base_url, job.id, str(tmp_path / "kept")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=60)[1].decode() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert verify(tmp_path / "kept") == ()
    assert host.counts["GET /files/{id}/content"] == 3
    assert host.counts["POST /chat/completions"] == 8


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process tells how much memory it had")
def test_a_large_file_comes_home_in_little_memory(host: HostSimulator, tmp_path: Path) -> None:
    rows = lines(chat_rows(range(20)))
    most: list[int] = []
    content = b""
    for size in (1, 20_000):  # the second one has 60 MB
        content = rows * size
        job_id = ended(host, started(host, content))
        command = [sys.executable, "-c", SIZED, host.api_key, host.base_url, job_id, str(tmp_path / str(size))]
        most.append(int(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout))
        assert (tmp_path / str(size) / "training.jsonl").stat().st_size == len(content)
    assert (most[1] - most[0]) * 1024 < len(content) / 3


def test_a_download_that_breaks_off_is_begun_anew(host: HostSimulator, job: FineTuneJob, tmp_path: Path) -> None:
    host.faults.add(Fault("cut_answer", "GET /files/*/content", times=2, after_bytes=100))
    archive = job.archive(tmp_path)
    assert archive.whole
    assert (tmp_path / "training.jsonl").read_bytes() == TRAINING
    assert host.counts["GET /files/{id}/content"] == 5


@pytest.mark.skipif(sys.platform == "win32", reason="rights are otherwise there")
def test_only_this_user_reads_what_lies_in_an_archive(job: FineTuneJob, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    job.archive(tmp_path / "open")
    for path in (tmp_path / "open").glob("[a-z]*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="links take rights there")
def test_a_link_in_the_folder_leads_nowhere(job: FineTuneJob, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("of great value")
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("training.jsonl", "manifest.json", "migrations.json"):
        if name != "manifest.json":
            (kept / name).symlink_to(mine)
    archive = job.archive(kept)
    finetune_kit.migrate(kept, to=MemoryBackend(), model="gpt-4.1")
    assert mine.read_text() == "of great value"
    assert not (kept / "training.jsonl").is_symlink()
    assert archive.whole
    (tmp_path / "copy").write_bytes((kept / "training.jsonl").read_bytes())
    (kept / "training.jsonl").unlink()
    (kept / "training.jsonl").symlink_to(tmp_path / "copy")
    assert [(one.name, one.what) for one in verify(kept)] == [("training.jsonl", "changed")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_in_place_of_a_file_is_not_waited_for(job: FineTuneJob, tmp_path: Path) -> None:
    job.archive(tmp_path / "kept")
    (tmp_path / "kept" / "events.jsonl").unlink()
    os.mkfifo(tmp_path / "kept" / "events.jsonl")
    assert [(one.name, one.what) for one in verify(tmp_path / "kept")] == [("events.jsonl", "changed")]
    assert job.archive(tmp_path / "kept").verify() == ()


def test_a_damaged_manifest_is_put_aside_and_the_job_brought_home_anew(job: FineTuneJob, tmp_path: Path) -> None:
    job.archive(tmp_path)
    content = (tmp_path / "manifest.json").read_bytes()
    (tmp_path / "manifest.json").write_bytes(content[:100])
    assert job.archive(tmp_path).whole
    assert verify(tmp_path) == ()
    assert (tmp_path / "damaged-manifest.json").read_bytes() == content[:100]


def test_a_damaged_manifest_of_another_job_is_not_touched(
    host: HostSimulator, backend: HostedBackend, job: FineTuneJob, tmp_path: Path
) -> None:
    job.archive(tmp_path)
    (tmp_path / "manifest.json").write_bytes(b"{")
    other = FineTuneJob.attach(ended(host, started(host, lines(chat_rows(range(50, 70))))), backend)
    with pytest.raises(FormatError, match="into another folder"):
        other.archive(tmp_path)
    assert (tmp_path / "training.jsonl").read_bytes() == TRAINING


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 0},
        {"files": [{"part": "a", "name": "con.txt", "size_bytes": 1, "sha256": "0" * 64, "fetched_at": 0}]},
        {"files": [{"part": "a", "name": "manifest.json", "size_bytes": 1, "sha256": "0" * 64, "fetched_at": 0}]},
        {"files": [{"part": "a", "name": "a", "size_bytes": -1, "sha256": "0" * 64, "fetched_at": 0}]},
        {"files": [{"part": "a", "name": "a", "size_bytes": 1, "sha256": "0", "fetched_at": 0}]},
        {"files": [{"part": "a", "name": n, "size_bytes": 1, "sha256": "0" * 64, "fetched_at": 0} for n in "ab"]},
        {"files": [{"part": p, "name": "a", "size_bytes": 1, "sha256": "0" * 64, "fetched_at": 0} for p in "ab"]},
    ],
)
def test_a_manifest_that_was_tampered_with_is_refused(
    job: FineTuneJob, tmp_path: Path, change: dict[str, object]
) -> None:
    job.archive(tmp_path)
    told = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**told, **change}))
    with pytest.raises(FormatError, match="is damaged"):
        Archive.read(tmp_path)


def test_a_newer_layout_is_told_although_its_fields_are_others(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema_version": 2, "files": {"training": 1}}')
    with pytest.raises(FormatError, match="Install a newer one"):
        Archive.read(tmp_path)


def test_a_damaged_part_stays_named_when_a_local_file_is_added(
    host: HostSimulator, backend: HostedBackend, tmp_path: Path
) -> None:
    job = FineTuneJob.attach(ended(host, started(host, TRAINING, VALIDATION)), backend)
    backend.delete_file(job.state.training_file or "")
    job.archive(tmp_path / "kept")
    (tmp_path / "kept" / "results-1.csv").write_bytes(b"cut")
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(TRAINING)
    migration = finetune_kit.migrate(tmp_path / "kept", to=MemoryBackend(), model="gpt-4.1", training=mine)
    assert not migration.archive.whole
    assert [(one.part, one.why) for one in migration.archive.not_archived if one.why == "failed"] == [
        ("results-1", "failed")
    ]


def test_a_wrong_local_file_is_replaced_by_the_right_one(
    backend: HostedBackend, job: FineTuneJob, tmp_path: Path
) -> None:
    backend.delete_file(job.state.training_file or "")
    wrong, right = tmp_path / "wrong.txt", tmp_path / "right.jsonl"
    wrong.write_bytes(b"a shopping list")
    right.write_bytes(TRAINING)
    job.archive(tmp_path / "kept", training=wrong)
    path = job.archive(tmp_path / "kept", training=right).path("training")
    assert path is not None
    assert path.read_bytes() == TRAINING


def test_other_validation_prompts_are_not_compared_with_answers_to_the_old_ones(
    backend: HostedBackend, job: FineTuneJob, tmp_path: Path
) -> None:
    job.archive(tmp_path / "kept")
    (tmp_path / "kept" / "validation.jsonl").unlink()
    other = tmp_path / "other.jsonl"
    other.write_bytes(lines(chat_rows(range(200, 208))))
    migration = finetune_kit.migrate(tmp_path / "kept", to=MemoryBackend(), model="gpt-4.1", validation=other)
    migration.job.wait()
    comparison = migration.compare()
    assert len(comparison.compared) == 8
    assert comparison.old is None
    backend.delete_file(job.state.validation_file or "")
    path = job.archive(tmp_path / "kept").path("answers")
    assert path is not None
    validation = Archive.read(tmp_path / "kept").manifest.file("validation")
    assert validation is not None
    assert Answers.read(path).validation_sha256 == validation.sha256  # the living model was asked the new prompts


def test_one_question_that_the_model_refuses_does_not_take_the_others_with_it(
    host: HostSimulator, job: FineTuneJob, tmp_path: Path
) -> None:
    host.faults.add(Fault("error", "POST /chat/completions", nth=3, times=2, status=400))
    path = job.archive(tmp_path).path("answers")
    assert path is not None
    answers = Answers.read(path)
    assert len(answers.answers) + answers.refused == 8
    assert len(answers.answers) >= 6


def test_a_file_that_the_host_has_emptied_or_cut_is_named(
    host: HostSimulator, backend: HostedBackend, job: FineTuneJob, tmp_path: Path
) -> None:
    host.faults.add(Fault("change", f"GET /files/{job.state.training_file}", times=None, fields={"bytes": 9}))
    archive = job.archive(tmp_path)
    [missing] = [one for one in archive.not_archived if one.part == "training"]
    assert missing.why == "failed"
    assert "has 9 bytes, and sent" in missing.reason
    assert not (tmp_path / "training.jsonl").exists()
    assert list(tmp_path.glob(".*.part")) == []


def test_what_a_killed_process_left_half_written_is_removed(job: FineTuneJob, tmp_path: Path) -> None:
    (tmp_path / ".training.jsonl.0123456789ab.part").write_bytes(b"half")
    (tmp_path / ".mine.part").write_bytes(b"")
    job.archive(tmp_path)
    assert [path.name for path in tmp_path.glob(".*.part")] == [".mine.part"]
    tidied(tmp_path / "nowhere")


def test_a_file_is_as_it_was_when_its_successor_breaks_off(tmp_path: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield b"new"
        raise HostReplyError("no more")

    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(HostReplyError):
        put(tmp_path / "a", broken())
    assert [path.read_bytes() for path in tmp_path.iterdir() if path.is_file()] == [b"old"]


@pytest.mark.parametrize("folder", ["a\0b", 3, None, b"a"])
def test_a_folder_that_is_no_path_is_told(backend: HostedBackend, job: FineTuneJob, folder: Any) -> None:
    for call in (
        lambda: job.archive(folder),
        lambda: archive_all(backend, folder),
        lambda: Archive.read(folder),
        lambda: finetune_kit.migrate(folder, to=MemoryBackend()),
    ):
        with pytest.raises(ParameterError, match="folder"):
            call()


def test_a_folder_that_cannot_be_made_says_so_without_a_word_of_the_home_folder(
    job: FineTuneJob, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="Check the folder") as told:
        job.archive(tmp_path / "file" / "kept")
    assert "FINETUNE_KIT_HOME" not in str(told.value)
