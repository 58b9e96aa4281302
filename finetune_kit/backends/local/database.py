"""The SQLite database of one home: its schema, and transactions whose errors say what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager

from finetune_kit.backends.local.home import Home
from finetune_kit.errors import StorageError

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, filename TEXT NOT NULL, purpose TEXT NOT NULL,
    created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY, status TEXT NOT NULL, model TEXT NOT NULL, spec TEXT NOT NULL, wish TEXT NOT NULL DEFAULT '',
    created_at REAL NOT NULL, finished_at REAL, fine_tuned_model TEXT, error_code TEXT, error_message TEXT,
    trained_tokens INTEGER, step INTEGER, total_steps INTEGER, seconds_left REAL, attempts INTEGER NOT NULL DEFAULT 0,
    attempts_step INTEGER NOT NULL DEFAULT -1, heartbeat_at REAL, result_file TEXT);
CREATE INDEX IF NOT EXISTS jobs_by_status ON jobs (status, created_at);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, job_id TEXT NOT NULL REFERENCES jobs (id),
    created_at REAL NOT NULL, level TEXT NOT NULL, type TEXT NOT NULL, message TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS events_by_job ON events (job_id, seq);
CREATE TABLE IF NOT EXISTS checkpoints (
    id TEXT PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs (id), name TEXT UNIQUE NOT NULL, step INTEGER NOT NULL,
    created_at REAL NOT NULL, metrics TEXT NOT NULL, UNIQUE (job_id, step));
CREATE TABLE IF NOT EXISTS models (
    name TEXT PRIMARY KEY, job_id TEXT NOT NULL, folder TEXT NOT NULL, card TEXT NOT NULL, created_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spawns (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), spawned_at REAL NOT NULL);
"""
_BUSY_TIMEOUT_SECONDS = 30.0
_LEAST_FREE_BYTES = 1_000_000
"""With less, SQLite's I/O errors mean that its files cannot grow."""


class Database:
    """Opens a connection for each transaction, so that it can be shared between threads and processes freely."""

    def __init__(self, home: Home) -> None:
        self._home, self._path = home, home.database
        home.make(home.root)
        if self._version() < SCHEMA_VERSION:
            self._create()

    @contextmanager
    def transaction(self) -> Generator[sqlite3.Connection]:
        """Exclusive from its beginning: committed at the end, undone by an error."""
        with self._open("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """One moment of the database; it blocks nobody."""
        with self._open("BEGIN") as connection:
            yield connection

    @contextmanager
    def _open(self, begin: str) -> Generator[sqlite3.Connection]:
        try:
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(begin)
                with connection:
                    yield connection
        except sqlite3.Error as error:
            raise self._fault(error) from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        return connection

    def _version(self) -> int:
        with self.reading() as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{self._path} was written by a newer finetune_kit (schema {version}, this one knows "
                f"{SCHEMA_VERSION}). Upgrade the package, or use another home folder."
            )
        return version

    def _create(self) -> None:
        from filelock import FileLock

        # The change to a write-ahead log does not wait for other connections as transactions do.
        with self._home.writing(self._path), FileLock(self._path.with_suffix(".lock")):
            if self._version() == SCHEMA_VERSION:
                return
            try:
                with closing(self._connect()) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
            except sqlite3.Error as error:
                raise self._fault(error) from error

    def _fault(self, error: sqlite3.Error) -> StorageError:
        reason = str(error)
        if "full" in reason or ("I/O" in reason and shutil.disk_usage(self._home.root).free < _LEAST_FREE_BYTES):
            return StorageError(f"no space is left on the disk that holds {self._path}. Free some, then try again.")
        if "locked" in reason:
            return StorageError(
                f"another process kept {self._path} busy for {_BUSY_TIMEOUT_SECONDS:g} s. Try again.", retryable=True
            )
        if "readonly" in reason or "unable to open" in reason:
            return StorageError(
                f"{self._path} cannot be opened: {reason}. Point FINETUNE_KIT_HOME at a folder of yours."
            )
        return StorageError(
            f"{self._path} cannot be used: {reason}. Move it away to start afresh; models stay in their folders."
        )
