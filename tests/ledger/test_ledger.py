"""What is written into the ledger is there afterwards, whoever asks and whatever happened to the writer."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from finetune_kit._clock import clock
from finetune_kit.cards import ModelCard
from finetune_kit.errors import StorageError
from finetune_kit.ledger import Intent, Ledger, Place, Upload
from finetune_kit.ledger.ledger import SCHEMA

PLACE = Place(host="openai", account="one", address="https://example.org/v1")
OTHER = Place(host="openai", account="another")
CARD = ModelCard(base="gpt-4.1", requested_model="davinci", kind="chat")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "home")


def intent(token: str, *, fingerprint: str = "same", place: Place = PLACE, at: float = 1.0) -> Intent:
    return Intent(
        token=token,
        fingerprint=fingerprint,
        place=place,
        requested_model="davinci",
        model="gpt-4.1",
        method="supervised",
        suffix="parcels",
        training_file="file-1",
        validation_file="file-2",
        created_at=at,
        jobs_before=frozenset({"ftjob-7"}),
    )


# intents


def test_a_host_is_not_asked_for_what_the_ledger_no_longer_knows_of(tmp_path: Path) -> None:
    known = intent("t")
    Ledger(tmp_path / "home").intents.add(known)
    (tmp_path / "home").rename(tmp_path / "away")
    with pytest.raises(StorageError, match="moved away"):
        Ledger(tmp_path / "home").intents.asking(known)


def test_an_intent_comes_back_as_it_was_written(ledger: Ledger) -> None:
    written = intent("t")
    ledger.intents.add(written)
    assert Ledger(ledger.path.parent).intents.all() == [written]


def test_each_step_of_an_intent_is_remembered(ledger: Ledger) -> None:
    first = intent("t")
    ledger.intents.add(first)
    asked = ledger.intents.asking(first)
    assert (asked.state, asked.posts) == ("asked", 1)
    assert ledger.intents.unresolved(PLACE) == [asked]
    begun = ledger.intents.started(asked, job_id="ftjob-1", status="queued")
    assert ledger.intents.of_job(PLACE, "ftjob-1") == begun
    assert ledger.intents.unresolved(PLACE) == []
    assert ledger.intents.job_ids(PLACE) == {"ftjob-1"}


def test_a_refusal_takes_back_one_question_and_no_earlier_one(ledger: Ledger) -> None:
    once = ledger.intents.asking(added(ledger, intent("once")))
    assert ledger.intents.refused(once, for_good=False).state == "waiting"
    twice = ledger.intents.asking(ledger.intents.asking(added(ledger, intent("twice"))))
    assert ledger.intents.refused(twice, for_good=True).state == "asked"
    assert [found.token for found in ledger.intents.unresolved(PLACE)] == ["twice"]


def test_a_refused_intent_is_no_longer_found_by_its_fingerprint(ledger: Ledger) -> None:
    for token in ("void", "good"):
        ledger.intents.add(intent(token, at=2.0 if token == "void" else 1.0))
    ledger.intents.refused(ledger.intents.asking(intent("void")), for_good=True)
    assert [found.token for found in ledger.intents.of_fingerprint("same")] == ["good"]
    assert [found.token for found in ledger.intents.all()] == ["void", "good"]


def test_what_was_seen_of_a_job_is_remembered_and_of_a_foreign_job_nothing(ledger: Ledger) -> None:
    ledger.intents.started(added(ledger, intent("t")), job_id="ftjob-1", status="queued")
    ledger.intents.saw(PLACE, "ftjob-1", status="succeeded", fine_tuned_model="ft:x")
    ledger.intents.saw(PLACE, "ftjob-1", status="succeeded")
    ledger.intents.told(PLACE, "ftjob-1", event_id="ftevent-9")
    ledger.intents.saw(OTHER, "ftjob-1", status="failed")
    ledger.intents.saw(PLACE, "ftjob-foreign", status="failed")
    [found] = ledger.intents.all()
    assert (found.status, found.fine_tuned_model, found.event_cursor) == ("succeeded", "ft:x", "ftevent-9")
    assert found.end_seen_at is None
    ledger.intents.end_seen(PLACE, "ftjob-1")
    assert ledger.intents.all()[0].end_seen_at is not None


def test_files_that_a_live_job_reads_are_known(ledger: Ledger) -> None:
    ledger.intents.started(added(ledger, intent("t")), job_id="ftjob-1", status="running")
    reading = ledger.intents.unfinished_with
    assert [found.job_id for found in reading(PLACE, "file-2", ended=("succeeded", "failed"))] == ["ftjob-1"]
    assert reading(PLACE, "file-3", ended=("succeeded",)) == reading(OTHER, "file-2", ended=("succeeded",)) == []
    ledger.intents.saw(PLACE, "ftjob-1", status="succeeded")
    assert reading(PLACE, "file-2", ended=("succeeded", "failed")) == []


def added(ledger: Ledger, new: Intent) -> Intent:
    ledger.intents.add(new)
    return new


# uploads


def upload(filename: str, *, place: Place = PLACE) -> Upload:
    return Upload.new(place, filename=filename, sha256="ab" * 32, size_bytes=9)


def test_uploads_are_found_by_account_and_content_those_that_arrived_first(ledger: Ledger) -> None:
    for name in ("one.jsonl", "two.jsonl", "three.jsonl"):
        ledger.uploads.begin(upload(name))
    ledger.uploads.begin(upload("four.jsonl", place=OTHER))
    ledger.uploads.arrived(upload("one.jsonl"), "file-1")
    found = ledger.uploads.of_content(PLACE, sha256="ab" * 32, size_bytes=9)
    assert [(one.filename, one.file_id) for one in found] == [
        ("one.jsonl", "file-1"),
        ("three.jsonl", None),
        ("two.jsonl", None),
    ]
    assert ledger.uploads.of_content(PLACE, sha256="ab" * 32, size_bytes=10) == []


def test_a_forgotten_upload_is_gone_with_its_parts(ledger: Ledger) -> None:
    journal = ledger.uploads.begin(upload("one.jsonl"))
    journal.begin("upload-1", part_bytes=4)
    journal.arrived(0, "part-0")
    ledger.uploads.forget(upload("one.jsonl"))
    assert ledger.uploads.of_content(PLACE, sha256="ab" * 32, size_bytes=9) == []
    assert ledger.uploads.begin(upload("one.jsonl")).parts == {}
    ledger.uploads.arrived(upload("one.jsonl"), "file-1")
    ledger.uploads.forget_file(PLACE, "file-1")
    assert ledger.uploads.of_content(PLACE, sha256="ab" * 32, size_bytes=9) == []


def test_another_process_goes_on_with_the_parts(ledger: Ledger) -> None:
    journal = ledger.uploads.begin(upload("one.jsonl"))
    assert (journal.upload_id, journal.part_bytes, journal.parts) == (None, None, {})
    journal.begin("upload-1", part_bytes=4)
    threads = [threading.Thread(target=journal.arrived, args=(number, f"part-{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    again = Ledger(ledger.path.parent).uploads.begin(upload("one.jsonl"))
    assert (again.upload_id, again.part_bytes) == ("upload-1", 4)
    assert again.parts == {number: f"part-{number}" for number in range(8)}
    again.begin("upload-2", part_bytes=2)
    assert (again.upload_id, again.parts) == ("upload-2", {})


# cards


def test_a_card_is_found_by_token_job_and_model_of_its_account(ledger: Ledger) -> None:
    ledger.cards.keep(PLACE, CARD, token="t")
    ledger.intents.started(added(ledger, intent("t")), job_id="ftjob-1", status="queued")
    ledger.intents.saw(PLACE, "ftjob-1", status="succeeded", fine_tuned_model="ft:x")
    assert ledger.cards.of_token("t") == ledger.cards.of_job(PLACE, "ftjob-1") == ledger.cards.of_model(PLACE, "ft:x")
    assert ledger.cards.of_token("t") == CARD
    assert ledger.cards.of_model(OTHER, "ft:x") is None


def test_a_card_can_be_joined_to_its_job_without_an_intent(ledger: Ledger) -> None:
    ledger.cards.keep(PLACE, CARD, token="t")
    ledger.cards.keep(PLACE, CARD.model_copy(update={"seed": 3}), token="t")
    ledger.cards.began(token="t", job_id="ftjob-1")
    ledger.cards.named(PLACE, job_id="ftjob-1", model="ft:x")
    found = ledger.cards.of_model(PLACE, "ft:x")
    assert found is not None
    assert found.seed == 3


# many at once, and what can be wrong with the file


WRITER = """
import sys
from finetune_kit.ledger import Intent, Ledger, Place
ledger = Ledger(sys.argv[1])
for number in range(int(sys.argv[3])):
    ledger.intents.add(Intent(token=f"{sys.argv[2]}-{number}", fingerprint="same", place=Place("openai", "one"),
        requested_model="m", model="m", method="supervised", training_file="f", created_at=float(number)))
    print(number, flush=True)
"""


def writer(home: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), name, str(count)], stdout=subprocess.PIPE, text=True
    )


def test_processes_that_begin_at_once_lose_nothing(tmp_path: Path) -> None:
    running = [writer(tmp_path / "home", str(number), 10) for number in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    for process in running:
        process.communicate()
    assert len(Ledger(tmp_path / "home").intents.all()) == 40


def test_what_was_written_before_a_kill_is_there(tmp_path: Path) -> None:
    process = writer(tmp_path / "home", "x", 100_000)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(5)]
    process.kill()
    told += [int(line) for line in process.communicate()[0].split() if line.isdigit()]
    found = {one.token for one in Ledger(tmp_path / "home").intents.all()}
    assert {f"x-{number}" for number in told} <= found


@pytest.mark.skipif(os.name == "nt", reason="rights are told otherwise there")
def test_only_this_user_can_read_it(ledger: Ledger) -> None:
    ledger.intents.add(intent("t"))
    mine = [ledger.path.parent, *ledger.path.parent.glob("ledger.sqlite3*")]
    assert len(mine) > 1
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in mine} == {0}


def test_an_unusual_place_and_words_do_no_harm(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "家 'quoted; DROP TABLE intents")
    strange = intent("'; DROP TABLE intents; --\n\x00😀")
    ledger.intents.add(strange)
    assert ledger.intents.all() == [strange]


def test_a_newer_ledger_is_refused_with_what_to_do(ledger: Ledger) -> None:
    with sqlite3.connect(ledger.path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    connection.close()
    with pytest.raises(StorageError, match=r"written by a newer finetune_kit .*Upgrade the package"):
        Ledger(ledger.path.parent)


def test_a_damaged_ledger_is_refused_with_what_it_means_to_begin_afresh(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StorageError, match="no longer knows which are its own"):
        Ledger(ledger.path.parent)


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageError, match="cannot be used"):
        Ledger(tmp_path / "home")


def test_times_are_taken_from_the_one_clock(ledger: Ledger) -> None:
    before = clock().now()
    asked = ledger.intents.asking(added(ledger, intent("t")))
    assert asked.posted_at is not None
    assert before <= asked.posted_at <= clock().now()
