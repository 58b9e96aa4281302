"""A database goes from any version to the newest as a whole, and one of a newer package is left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from finetune_kit._database import Database, Schema
from finetune_kit.errors import StorageError

FIRST = "CREATE TABLE pets (name TEXT PRIMARY KEY);"
SECOND = "ALTER TABLE pets ADD COLUMN legs INTEGER NOT NULL DEFAULT 4;"
THIRD = "UPDATE pets SET legs = 2 WHERE name = 'parrot';"


def schema(*migrations: str) -> Schema:
    return Schema(migrations=migrations, moved_away="pets are forgotten.")


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a database of the first version, with a row."""
    path = tmp_path / "pets.sqlite3"
    with Database(path, schema(FIRST)).transaction() as connection:
        connection.execute("INSERT INTO pets VALUES ('parrot')")
    return path


def test_an_old_database_goes_through_every_migration_since_and_keeps_its_rows(path: Path) -> None:
    for _ in range(2):  # the second time there is nothing to do
        with Database(path, schema(FIRST, SECOND, THIRD)).reading() as connection:
            assert [tuple(row) for row in connection.execute("SELECT * FROM pets")] == [("parrot", 2)]
    assert version(path) == 3


def test_a_migration_that_fails_leaves_the_database_as_it_was(path: Path) -> None:
    with pytest.raises(StorageError, match="no such table: cats"):
        Database(path, schema(FIRST, SECOND, "DELETE FROM cats;"))
    assert version(path) == 1
    with Database(path, schema(FIRST)).reading() as connection:
        assert [tuple(row) for row in connection.execute("SELECT * FROM pets")] == [("parrot",)]


def test_a_database_of_a_newer_package_is_left_alone(path: Path) -> None:
    Database(path, schema(FIRST, SECOND))
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"written by a newer finetune_kit \(schema 2, this one knows 1\)"):
        Database(path, schema(FIRST))
    assert path.read_bytes() == before
