"""A file is sent once, is used again only where the host confirms it, and is ready before a job is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from finetune_kit._clock import FastClock
from finetune_kit.backends import FileState, PartJournal
from finetune_kit.errors import (
    FileRejectedError,
    HostReplyError,
    HostUnavailableError,
    RequestRefusedError,
    UnclearOutcomeError,
)
from finetune_kit.launching import launch
from finetune_kit.launching.files import PROCESSING_SECONDS
from finetune_kit.uploads import SpooledFile
from tests.launching.scripted import Host, Lost, World, order

UNCLEAR = [
    UnclearOutcomeError("cut."),
    HostReplyError("HTML came back."),
    HostUnavailableError("the host answered 502.", status=502),
]


def name_of(error: object) -> str:
    return type(error).__name__


def at_host(world: World) -> int:
    return len(world.memory.files())


# used again


def test_other_settings_on_the_same_rows_send_nothing_again(world: World) -> None:
    first, second = (launch(order(validation="two", n_epochs=number), Host(world)) for number in (1, 2))
    assert world.specs[first.id].training_file == world.specs[second.id].training_file
    assert world.count("upload") == 2
    assert world.count("file") == 2


def test_validation_rows_that_are_the_training_rows_are_one_file(world: World) -> None:
    launch(order("one", validation="one"), Host(world))
    assert world.count("upload") == 1


def test_another_account_sends_its_own(world: World) -> None:
    launch(order(), Host(world))
    launch(order(), Host(world, account="another"))
    assert world.count("upload") == 2


def test_a_file_is_sent_again_where_the_caller_wants_it(world: World) -> None:
    launch(order(n_epochs=1), Host(world))
    launch(order(n_epochs=2, reuse_files=False), Host(world))
    assert at_host(world) == 2


@pytest.mark.parametrize("what", ["deleted", "shorter", "error", "marked deleted"])
def test_a_file_that_the_host_does_not_confirm_is_sent_again(world: World, what: str) -> None:
    first = launch(order(n_epochs=1), Host(world))
    file_id = world.specs[first.id].training_file
    state = world.memory.file(file_id)
    if what == "deleted":
        world.memory.delete_file(file_id)
    elif what == "shorter":
        world.files[file_id] = replace(state, size_bytes=state.size_bytes - 1)
    else:
        world.files[file_id] = replace(state, status=what.removeprefix("marked "))
    second = launch(order(n_epochs=2), Host(world))
    assert world.specs[second.id].training_file != file_id
    third = launch(order(n_epochs=3), Host(world))
    assert world.specs[third.id].training_file == world.specs[second.id].training_file


def test_a_host_that_does_not_answer_about_a_file_is_asked_again(world: World) -> None:
    launch(order(n_epochs=1), Host(world))
    world.script["file"] = [HostUnavailableError("500", status=500), HostReplyError("half JSON.")]
    launch(order(n_epochs=2), Host(world))
    assert at_host(world) == 1


# answers that are lost


@pytest.mark.parametrize("error", UNCLEAR, ids=name_of)
def test_a_file_whose_answer_was_lost_is_found_by_its_name_and_size(world: World, error: Exception) -> None:
    world.script["upload"] = [Lost(error)]
    job = launch(order(), Host(world))
    assert at_host(world) == 1
    assert world.specs[job.id].training_file == "file-1"


@pytest.mark.parametrize("error", UNCLEAR, ids=name_of)
def test_a_file_that_never_arrived_is_sent_again(world: World, error: Exception) -> None:
    world.script["upload"] = [error, error]
    launch(order(), Host(world))
    assert world.count("upload") == 3
    assert at_host(world) == 1


def test_a_file_of_the_right_name_and_another_size_is_not_taken(world: World) -> None:
    class Cut(Host):
        def files(self) -> list[FileState]:
            return [replace(state, size_bytes=state.size_bytes - 1) for state in super().files()]

    world.script["upload"] = [Lost(UNCLEAR[0])]
    job = launch(order(), Cut(world))
    assert world.specs[job.id].training_file == "file-2"


def test_answers_that_are_always_lost_end_in_an_error(world: World) -> None:
    world.script["upload"] = [UNCLEAR[0]] * 100
    with pytest.raises(UnclearOutcomeError, match=r"cut\. Nothing was started; call train\(\) again later"):
        launch(order(), Host(world))
    assert world.count("upload") == 5


def test_a_refused_upload_is_told_at_once(world: World) -> None:
    world.script["upload"] = [RequestRefusedError("the file is too large.")]
    with pytest.raises(RequestRefusedError, match=r"too large\. Nothing was started\."):
        launch(order(), Host(world))
    assert world.count("upload") == 1


def test_an_upload_in_parts_is_gone_on_with_under_the_same_name(world: World) -> None:
    seen: list[tuple[str, str | None, dict[int, str]]] = []

    class Parts(Host):
        def upload(
            self,
            file: SpooledFile,
            *,
            journal: PartJournal | None = None,
            on_progress: Callable[[int], None] | None = None,
        ) -> FileState:
            assert journal is not None
            seen.append((file.filename, journal.upload_id, dict(journal.parts)))
            if journal.upload_id is None:
                journal.begin("upload-1", part_bytes=10)
            journal.arrived(len(journal.parts), "part")
            return super().upload(file, journal=journal, on_progress=on_progress)

    world.script["upload"] = [KeyboardInterrupt(), UnclearOutcomeError("cut.")]
    with pytest.raises(KeyboardInterrupt):
        launch(order(), Parts(world))
    launch(order(), Parts(world))
    assert len({filename for filename, _, _ in seen}) == 1
    assert [(upload, len(parts)) for _, upload, parts in seen] == [(None, 0), ("upload-1", 1), ("upload-1", 2)]


def test_progress_is_told(world: World) -> None:
    told: list[int] = []
    given = order()
    launch(given, Host(world), on_progress=told.append)
    assert told == [given.training.size_bytes]


# until it is processed


class Processing(Host):
    """Tells other words about a file for the first looks."""

    words: tuple[str, ...] = ()
    reason = ""

    def upload(
        self,
        file: SpooledFile,
        *,
        journal: PartJournal | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> FileState:
        return replace(super().upload(file), status="uploaded")

    def file(self, file_id: str) -> FileState:
        state = super().file(file_id)
        place = min(self.world.count("file"), len(self.words)) - 1
        return replace(state, status=self.words[place], reason=self.reason)


def test_a_job_waits_until_its_file_is_processed(world: World) -> None:
    host = Processing(world)
    host.words = ("uploaded", "strange", "processed")
    launch(order(), host)
    assert world.asked == ["preflight", "upload", "file", "file", "file", "start"]


def test_a_file_that_the_host_cannot_use_is_told_with_its_reason_and_never_used_again(world: World) -> None:
    host = Processing(world)
    host.words, host.reason = ("uploaded", "error"), "line 3 is no JSON"
    with pytest.raises(FileRejectedError, match=r"line 3 is no JSON\. Nothing was started") as caught:
        launch(order(), host)
    assert caught.value.file_id == "file-1"
    assert launch(order(), Host(world)).training_file == "file-2"


def test_a_host_that_never_calls_a_file_processed_is_asked_for_the_job_all_the_same(
    world: World, fast: FastClock, caplog: pytest.LogCaptureFixture
) -> None:
    begun = fast.monotonic()
    host = Processing(world)
    host.words = ("uploaded",)
    launch(order(), host)
    assert "asked for the job all the same" in caplog.text
    assert PROCESSING_SECONDS <= fast.monotonic() - begun < PROCESSING_SECONDS + 60
