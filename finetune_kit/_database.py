"""SQLite databases of ours: a schema with a version, and transactions whose errors say what to do."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from finetune_kit._home import LEAST_FREE_BYTES, make_folder, settle, writing
from finetune_kit.errors import StorageError

_BUSY_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """What stands in a database."""

    migrations: tuple[str, ...]
    """Statements that make each version of the one before it, the first of nothing; one that was released stays."""
    moved_away: str
    """What it means to a user to begin afresh, to be read after "Move it away to start afresh;"."""

    @property
    def version(self) -> int:
        """Of a database that has gone through all of them."""
        return len(self.migrations)


class Database:
    """Opens a connection for each transaction, so that it can be shared between threads and processes freely."""

    def __init__(self, path: Path, schema: Schema) -> None:
        self._path, self._schema = path, schema
        make_folder(path.parent)
        if self._version() < schema.version:
            self._migrate()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Generator[sqlite3.Connection]:
        """Exclusive from its beginning: committed at the end, undone by an error.

        A process that dies cannot lose what was committed; where it is `durable`, a machine that loses power cannot
        either.
        """
        with self._open("BEGIN IMMEDIATE", synchronous="FULL" if durable else "NORMAL") as connection:
            yield connection

    @contextmanager
    def reading(self) -> Generator[sqlite3.Connection]:
        """One moment of the database; it blocks nobody."""
        with self._open("BEGIN", synchronous="NORMAL") as connection:
            yield connection

    @contextmanager
    def _open(self, begin: str, *, synchronous: str) -> Generator[sqlite3.Connection]:
        try:
            with closing(self._connect()) as connection:
                connection.execute(f"PRAGMA synchronous = {synchronous}")
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
        if version > self._schema.version:
            raise StorageError(
                f"{self._path} was written by a newer finetune_kit (schema {version}, this one knows "
                f"{self._schema.version}). Upgrade the package, or use another home folder."
            )
        return version

    def _migrate(self) -> None:
        """Bring it up to date as a whole or not at all."""
        from filelock import FileLock

        # The change to a write-ahead log does not wait for other connections as transactions do.
        with writing(self._path), FileLock(self._path.with_suffix(".lock")):
            version = self._version()
            if version == self._schema.version:
                return
            steps = " ".join(self._schema.migrations[version:])
            script = f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {self._schema.version}; COMMIT;"
            try:
                with closing(self._connect()) as connection:
                    connection.execute("PRAGMA journal_mode = WAL")
                    connection.execute("PRAGMA synchronous = FULL")
                    connection.executescript(script)
            except sqlite3.Error as error:
                raise self._fault(error) from error
            settle(self._path.parent)

    def _fault(self, error: sqlite3.Error) -> StorageError:
        reason = str(error)
        if "full" in reason or ("I/O" in reason and shutil.disk_usage(self._path.parent).free < LEAST_FREE_BYTES):
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
            f"{self._path} cannot be used: {reason}. Move it away to start afresh; {self._schema.moved_away}"
        )
