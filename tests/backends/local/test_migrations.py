"""A home that an earlier version wrote is taken over: its jobs, events and models, and a run that rests in it."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from finetune_kit import FineTuneJob, LocalBackend, ModelClient
from finetune_kit._database import Database, Schema
from finetune_kit.backends.local.database import SCHEMA
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.models import add_adapter
from finetune_kit.backends.local.store import Store
from finetune_kit.errors import StorageError
from tests.tiny import load_tiny

OLD = Path(__file__).parents[2] / "golden" / "engine-schema-1"
"""Written by the version that had the first schema: a job that has succeeded, and one that was paused at its start."""
DONE, RESTING = "ftjob-5708a679265c98a309c9801b", "ftjob-beaf3fa665e39fb635270e51"
MODEL = "ft:tiny:local:colours:5708a679"


@pytest.fixture
def old(tiny_base: Path, tmp_path: Path) -> LocalBackend:
    home = Home(tmp_path / "home")
    for name in ("training.jsonl", "validation.jsonl"):
        content = (OLD / name).read_bytes()
        blob = home.blob(hashlib.sha256(content).hexdigest())
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
    script = (OLD / "engine.sql").read_text(encoding="utf-8").replace("{BASE}", str(tiny_base))
    with closing(sqlite3.connect(home.database)) as connection:
        connection.executescript(script)
    loaded = load_tiny(tiny_base, tmp_path / "elsewhere")
    add_adapter(loaded, seed=0)
    loaded.model.save_pretrained(home.job(DONE) / "model")
    return LocalBackend(home=home.root, base=str(tiny_base))


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """The columns of every table, and which indexes there are."""
    with closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")]
        return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in sorted(names)}


def test_its_jobs_are_listed_with_their_events_and_checkpoints(old: LocalBackend) -> None:
    assert [(job.id, job.status) for job in old.jobs()] == [(RESTING, "paused"), (DONE, "succeeded")]
    job = FineTuneJob.attach(DONE, old)
    assert [event.message for event in job.events()][-1] == "The job has succeeded."
    assert [checkpoint.step for checkpoint in job.checkpoints()] == [2]
    assert job.card.labels == ("blue", "red")


def test_its_models_answer(old: LocalBackend) -> None:
    assert len(FineTuneJob.attach(DONE, old).model().complete("question 1", max_tokens=3)) > 0
    assert set(ModelClient(MODEL, backend=old).card.labels) == {"blue", "red"}


@pytest.mark.slow
def test_a_run_that_rests_in_it_goes_on(old: LocalBackend) -> None:
    job = FineTuneJob.attach(RESTING, old).resume()
    assert job.wait(timeout_seconds=120).status == "succeeded"


def test_it_has_the_tables_of_a_new_one_afterwards(old: LocalBackend, tmp_path: Path) -> None:
    old.jobs()
    new = Store(Home(tmp_path / "new"))
    assert tables(old.home.database) == tables(new.home.database)


def test_the_first_migration_makes_what_was_released(old: LocalBackend, tmp_path: Path) -> None:
    """A migration that was released stays as it was: what has gone through it would differ from what goes now."""
    Database(tmp_path / "first.sqlite3", Schema(migrations=SCHEMA.migrations[:1], moved_away=""))
    assert tables(tmp_path / "first.sqlite3") == tables(old.home.database)


def test_a_newer_home_is_refused_and_left_as_it_is(old: LocalBackend) -> None:
    with closing(sqlite3.connect(old.home.database)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA.version + 1}")
    before = old.home.database.read_bytes()
    with pytest.raises(StorageError, match=r"written by a newer finetune_kit .*Upgrade the package, or use another"):
        old.jobs()
    assert old.home.database.read_bytes() == before
