"""`Ledger`: the database, and one object for each kind of thing that stands in it."""

from __future__ import annotations

import os
from pathlib import Path

from finetune_kit._database import Database, Schema
from finetune_kit._home import home_folder, make_folder, writing
from finetune_kit.ledger.cards import Cards
from finetune_kit.ledger.intents import Intents
from finetune_kit.ledger.uploads import Uploads

_FIRST = """
CREATE TABLE IF NOT EXISTS intents (
    token TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, host TEXT NOT NULL, account TEXT NOT NULL,
    address TEXT NOT NULL, requested_model TEXT NOT NULL, model TEXT NOT NULL, method TEXT NOT NULL, suffix TEXT,
    training_file TEXT NOT NULL, validation_file TEXT, state TEXT NOT NULL, created_at REAL NOT NULL,
    posted_at REAL, posts INTEGER NOT NULL DEFAULT 0, jobs_before TEXT NOT NULL DEFAULT '[]', job_id TEXT,
    status TEXT NOT NULL DEFAULT '', seen_at REAL, end_seen_at REAL, fine_tuned_model TEXT, event_cursor TEXT);
CREATE INDEX IF NOT EXISTS intents_by_fingerprint ON intents (fingerprint, created_at);
CREATE INDEX IF NOT EXISTS intents_by_job ON intents (host, account, job_id);
CREATE TABLE IF NOT EXISTS uploads (
    filename TEXT PRIMARY KEY, host TEXT NOT NULL, account TEXT NOT NULL, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL,
    begun_at REAL NOT NULL, file_id TEXT, upload_id TEXT, part_bytes INTEGER);
CREATE INDEX IF NOT EXISTS uploads_by_content ON uploads (host, account, sha256, bytes);
CREATE INDEX IF NOT EXISTS uploads_by_file ON uploads (host, account, file_id);
CREATE TABLE IF NOT EXISTS parts (
    filename TEXT NOT NULL REFERENCES uploads (filename) ON DELETE CASCADE, number INTEGER NOT NULL,
    part_id TEXT NOT NULL, PRIMARY KEY (filename, number));
CREATE TABLE IF NOT EXISTS cards (
    token TEXT PRIMARY KEY, host TEXT NOT NULL, account TEXT NOT NULL, card TEXT NOT NULL, job_id TEXT, model TEXT);
CREATE INDEX IF NOT EXISTS cards_by_job ON cards (host, account, job_id);
CREATE INDEX IF NOT EXISTS cards_by_model ON cards (host, account, model);
"""
SCHEMA = Schema(
    migrations=(_FIRST,),
    moved_away="jobs go on at their hosts, but this machine no longer knows which are its own.",
)


class Ledger:
    """What must not be forgotten: any number of processes and threads may write it at once; no secret stands in it.

    Every method raises `StorageError`, which says what to do, where the database cannot be read or written.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.path = home_folder(folder) / "ledger.sqlite3"
        make_folder(self.path.parent)
        _create_private(self.path)
        database = Database(self.path, SCHEMA)
        self.intents = Intents(database)
        self.uploads = Uploads(database)
        self.cards = Cards(database)

    @property
    def locks(self) -> Path:
        """Where the lock files lie by which processes wait for one another."""
        return make_folder(self.path.parent / "locks")


def _create_private(path: Path) -> None:
    """SQLite gives its other files the rights of this one."""
    with writing(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
