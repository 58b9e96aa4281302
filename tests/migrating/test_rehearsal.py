"""The move rehearsed: twenty jobs of all kinds, the old host switched off half way, all trained once elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

import finetune_kit
from finetune_kit import FineTuneJob, LocalBackend, Migration, Results, archive_all
from finetune_kit._clock import SystemClock, using
from finetune_kit.archiving import ArchivedJob, Archives, verify
from finetune_kit.testing import Fault, HostSimulator, MemoryBackend
from finetune_kit.testing.simulator.flavour import flavour_of
from tests.archiving.places import (
    backend_of,
    chat_rows,
    completion_rows,
    ended,
    lines,
    preference_rows,
    started,
    tool_rows,
)
from tests.tiny import write_tiny_base

pytestmark = [pytest.mark.filterwarnings("ignore::finetune_kit.errors.ShutdownWarning")]

KINDS: dict[str, tuple[Callable[[range], list[Mapping[str, Any]]], dict[str, Any]]] = {
    "completion": (completion_rows, {"model": "babbage-002"}),
    "chat": (chat_rows, {}),
    "tools": (tool_rows, {}),
    "preference": (preference_rows, {"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.2}}}}),
    "unfinished": (chat_rows, {}),
}
ALL_PARTS = {"training", "validation", "job", "card", "checkpoints", "events", "answers", "weights"}


def begun(host: HostSimulator, jobs: int) -> dict[str, str]:
    """So many jobs of all kinds, with and without a validation file; the kind of each by its id."""
    found: dict[str, str] = {}
    for number, kind in enumerate(islice(cycle(KINDS), jobs)):
        rows, more = KINDS[kind]
        shift = 100 * number  # so that no two train on the same
        validation = lines(rows(range(shift + 20, shift + 28))) if number % 2 else None
        job_id = started(host, lines(rows(range(shift, shift + 20))), validation, **more)
        if kind != "unfinished":
            ended(host, job_id)
        found[job_id] = kind
    return found


def named(row: ArchivedJob) -> set[str]:
    """What an archive holds or says that it does not hold."""
    assert row.archive is not None
    return {one.part for one in row.archive.files} | {one.part for one in row.archive.not_archived}


def is_true(archives: Archives) -> None:
    """Everything that was archived is whole by its manifest, and everything that was not is named."""
    for row in archives:
        if row.archive is None:
            assert row.error
            continue
        assert verify(row.archive.folder) == ()
        assert named(row) >= ALL_PARTS
        assert {"results", "results-1"} & named(row)
        if not row.archive.whole:
            assert row.reason
        for file in row.archive.files:
            if file.part == "results-1":
                assert Results.parse((row.archive.folder / file.name).read_bytes()).metrics


@pytest.fixture
def hosts() -> Iterator[tuple[HostSimulator, HostSimulator]]:
    """One gives its results in base64, the other as they are."""
    plain = replace(flavour_of("openai"), result_format="plain")
    with HostSimulator() as base64, HostSimulator(host=plain, seed=1) as as_they_are:
        yield base64, as_they_are


def test_twenty_jobs_come_home_or_are_named_and_none_is_doubled(
    hosts: tuple[HostSimulator, HostSimulator], tmp_path: Path
) -> None:
    kinds: dict[str, str] = {}
    archived: list[ArchivedJob] = []
    for number, host in enumerate(hosts):
        kinds |= begun(host, 10)
        with backend_of(host) as old:
            folder = tmp_path / str(number)

            def off_half_way(row: ArchivedJob, host: HostSimulator = host, seen: list[str] = []) -> None:  # noqa: B006
                seen.append(row.job_id)
                if len(seen) % 10 == 5:  # in the middle of the next job
                    host.faults.add(Fault("cut", "GET **", nth=4, times=None), Fault("cut", "POST **", times=None))

            archives = archive_all(old, folder, on_archived=off_half_way)
        is_true(archives)
        hows = Counter(row.how for row in archives)
        assert len(archives) == 10
        assert hows["not"] == 4
        assert hows["partly"] >= 1
        archived += archives
        host.stop()

    assert {row.job_id for row in archived} == kinds.keys()
    home = [row for row in archived if row.archive is not None and row.archive.path("training") is not None]
    assert len(home) >= 10
    with HostSimulator(seed=7) as new_host, backend_of(new_host) as new:
        new_host.faults.add(
            Fault("error", "POST /fine_tuning/jobs", nth=2, times=1, status=502, takes_effect=True),
            Fault("cut_answer", "POST /fine_tuning/jobs", nth=5, times=1),
            Fault("rate_limit", "POST /fine_tuning/jobs", nth=8, times=2, retry_after="1"),
        )
        moved = {row.job_id: migrated(row, new) for row in home}
        again = {row.job_id: migrated(row, new) for row in home}
        assert {old_id: one.job.id for old_id, one in moved.items()} == {
            old_id: one.job.id for old_id, one in again.items()
        }
        assert len(new_host.jobs) == len(home)
        ended(new_host, *(one.job.id for one in moved.values()))
        for row in home:
            compared(moved[row.job_id], kinds[row.job_id])
        late = [migrated(row, new).job.id for row in home]
        assert sorted(late) == sorted(str(job["id"]) for job in new_host.jobs)


def migrated(row: ArchivedJob, to: finetune_kit.HostedBackend) -> Migration[FineTuneJob]:
    assert row.archive is not None
    return finetune_kit.migrate(row.archive.folder, to=to, model="gpt-4.1")


def compared(migration: Migration[FineTuneJob], kind: str) -> None:
    comparison = migration.compare()
    archive = migration.archive
    if archive.path("validation") is None:
        assert comparison.compared == ()
        return
    assert len(comparison.compared) == (4 if kind == "tools" else 8)
    if archive.path("answers") is not None:
        assert comparison.old is not None
    assert comparison.verdict == "not enough data to tell"


def test_after_an_outage_the_rest_is_fetched_and_nothing_else(
    hosts: tuple[HostSimulator, HostSimulator], tmp_path: Path
) -> None:
    host, _ = hosts
    kinds = begun(host, 10)
    with backend_of(host) as old:
        host.faults.add(Fault("cut", "GET **", nth=40, times=None))
        first = archive_all(old, tmp_path)
        is_true(first)
        assert not first.whole
        host.faults.clear()
        ended(host, *(job_id for job_id, kind in kinds.items() if kind == "unfinished"))
        before = host.counts["GET /files/{id}/content"]
        there = sum(
            file.part in {"training", "validation", "results-1"}
            for row in first
            if row.archive
            for file in row.archive.files
        )
        second = archive_all(old, tmp_path)
        is_true(second)
        assert second.whole
        files = sum(
            file.part in {"training", "validation", "results-1"}
            for row in second
            if row.archive
            for file in row.archive.files
        )
        assert host.counts["GET /files/{id}/content"] - before == files - there
        asked = len(host.requests)
        assert archive_all(old, tmp_path).whole
        assert len(host.requests) - asked == 1  # the list of jobs


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["completion", "chat", "preference"])
def test_the_engine_of_this_machine_takes_over(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows, more = KINDS[kind]
    with HostSimulator() as host, backend_of(host) as old:
        job_id = ended(host, started(host, lines(rows(range(20))), lines(rows(range(20, 24))), **more))
        FineTuneJob.attach(job_id, old).archive(tmp_path / "kept", budget=None)
    base = write_tiny_base(tmp_path / "base")
    engine = LocalBackend(home=tmp_path / "engine", base=str(base))
    with ExitStack() as stack:
        stack.enter_context(using(SystemClock()))
        migration = finetune_kit.migrate(tmp_path / "kept", to=engine, model="davinci", n_epochs=1)
        migration.job.wait(120)
        comparison = migration.compare()
        assert len(comparison.compared) == 4
        assert comparison.old is not None
        assert (
            finetune_kit.migrate(tmp_path / "kept", to=engine, model="davinci", n_epochs=1).job.id == migration.job.id
        )
    card = migration.job.card
    assert card.kind == kind
    assert (card.template is None) == (kind != "completion")
    assert card.method == ("dpo" if kind == "preference" else "supervised")


def test_nothing_is_trained_of_what_is_not_there(tmp_path: Path) -> None:
    with HostSimulator() as host, backend_of(host) as old:
        job_id = ended(host, started(host, lines(chat_rows(range(20)))))
        old.delete_file(old.job(job_id).training_file or "")
        [row] = archive_all(old, tmp_path)
    assert row.how == "partly"
    assert row.archive is not None
    with pytest.raises(finetune_kit.errors.ParameterError, match="Pass your own: training=path"):
        finetune_kit.migrate(row.archive.folder, to=MemoryBackend())
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(lines(chat_rows(range(20))))
    migration = finetune_kit.migrate(row.archive.folder, to=MemoryBackend(), training=mine)
    assert migration.archive.whole
    assert migration.job.wait().card.training is not None
