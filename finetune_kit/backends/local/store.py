"""The engine's durable state: files, jobs, events, checkpoints and models in one SQLite database under the home folder.

Any process may open it. Every change of a job's status is one transaction that names the statuses it may come from, so
that two processes cannot both make it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from finetune_kit.backends.local.home import Home
from finetune_kit.backends.protocol import TERMINAL, Checkpoint, Event, JobFault, JobState
from finetune_kit.errors import BackendError, JobNotFoundError, StorageError
from finetune_kit.records import JsonValue

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


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A fine-tuned model or a checkpoint: where it lies and its card."""

    name: str
    folder: str
    card: str


class Store:
    """The database of one home; it opens a connection for each call, so that it can be shared and forked freely."""

    def __init__(self, home: Home) -> None:
        self.home = home
        home.make(home.root)
        with self._connection() as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise StorageError(
                    f"{home.database} was written by a newer finetune_kit (schema {version}, this one knows "
                    f"{SCHEMA_VERSION}). Upgrade the package, or use another home folder."
                )
            if version < SCHEMA_VERSION:
                connection.executescript(_SCHEMA)
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed at the end, rolled back on an error."""
        path = self.home.database
        try:
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level="IMMEDIATE")
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            with connection:
                yield connection
        except sqlite3.Error as error:
            raise self._damaged(error) from error
        finally:
            connection.close()

    def _damaged(self, error: sqlite3.Error) -> StorageError:
        path = self.home.database
        if "full" in str(error):
            return StorageError(f"no space is left on the disk that holds {path}. Free some, then try again.")
        return StorageError(
            f"{path} cannot be used: {error}. Move it away to start afresh; models stay in their folders."
        )

    # files

    def add_file(self, lines: Iterable[bytes], *, filename: str, purpose: str = "fine-tune") -> str:
        """Store lines under their content's hash; return the file's id. The same content is kept once."""
        folder = self.home.make(self.home.root / "files")
        temporary = folder / f".{secrets.token_hex(8)}.part"
        digest, size = hashlib.sha256(), 0
        with self.home.writing(folder):
            try:
                with temporary.open("xb") as out:
                    for line in lines:
                        ended = line + b"\n"
                        out.write(ended)
                        digest.update(ended)
                        size += len(ended)
                    out.flush()
                    os.fsync(out.fileno())
                temporary.replace(self.home.blob(digest.hexdigest()))
            finally:
                temporary.unlink(missing_ok=True)
        file_id = f"file-{secrets.token_hex(12)}"
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
                (file_id, digest.hexdigest(), size, filename, purpose, time.time()),
            )
        return file_id

    def file_path(self, file_id: str) -> Path:
        """Where a file's bytes lie."""
        with self._connection() as connection:
            row = connection.execute("SELECT sha256 FROM files WHERE id = ?", (file_id,)).fetchone()
        if row is None:
            raise BackendError(f"the engine has no file {file_id!r}. Ids come from `upload` or a job's result_files.")
        return self.home.blob(row["sha256"])

    def file_sha256(self, file_id: str) -> str:
        """The hash of a file's bytes, in hexadecimal."""
        return self.file_path(file_id).name

    # jobs

    def add_job(self, *, model: str, spec: bytes, first_events: Iterable[tuple[str, str]]) -> str:
        """Create a queued job with its first events, given as (level, message)."""
        job_id = f"ftjob-{secrets.token_hex(12)}"
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO jobs (id, status, model, spec, created_at, heartbeat_at) VALUES (?, 'queued', ?, ?, ?, ?)",
                (job_id, model, spec.decode(), time.time(), time.time()),
            )
            for level, message in first_events:
                self._insert_event(connection, job_id, level=level, message=message)
        return job_id

    def _row(self, connection: sqlite3.Connection, job_id: str) -> sqlite3.Row:
        row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise JobNotFoundError(
                f"there is no job {job_id!r} under {self.home.root}. Jobs of another home folder need home= or "
                "FINETUNE_KIT_HOME.",
                job_id=job_id,
            )
        return row  # type: ignore[no-any-return]

    def job(self, job_id: str) -> JobState:
        """A job now."""
        with self._connection() as connection:
            return _state(self._row(connection, job_id))

    def jobs(self) -> list[JobState]:
        """All jobs, the newest first."""
        with self._connection() as connection:
            rows = connection.execute("SELECT * FROM jobs ORDER BY created_at DESC, rowid DESC").fetchall()
        return [_state(row) for row in rows]

    def spec(self, job_id: str) -> bytes:
        """A job's specification as JSON."""
        with self._connection() as connection:
            return str(self._row(connection, job_id)["spec"]).encode()

    def wish(self, job_id: str) -> str:
        """What was asked of a running job: `cancel`, `pause` or nothing."""
        with self._connection() as connection:
            return str(self._row(connection, job_id)["wish"])

    def move(
        self,
        job_id: str,
        *,
        to: str,
        of: Iterable[str],
        message: str,
        level: str = "info",
        fault: JobFault | None = None,
    ) -> bool:
        """Change a job's status if it is one of `of`, and say so in an event; return whether it was."""
        statuses = list(of)
        marks = ", ".join("?" * len(statuses))
        now = time.time()
        with self._connection() as connection:
            changed = connection.execute(
                f"UPDATE jobs SET status = ?, heartbeat_at = ?, finished_at = ?, wish = '', seconds_left = NULL, "
                f"error_code = ?, error_message = ? WHERE id = ? AND status IN ({marks})",
                (
                    to,
                    now,
                    now if to in TERMINAL else None,
                    fault.code if fault else None,
                    fault.message if fault else None,
                    job_id,
                    *statuses,
                ),
            ).rowcount
            if changed:
                self._insert_event(connection, job_id, level=level, message=message)
            else:
                self._row(connection, job_id)
        return bool(changed)

    def ask(self, job_id: str, wish: str) -> None:
        """Leave a wish for the worker that runs the job."""
        with self._connection() as connection:
            self._row(connection, job_id)
            connection.execute(
                "UPDATE jobs SET wish = ? WHERE id = ? AND status IN ('validating_files', 'running')", (wish, job_id)
            )

    def claim(self, *, most_attempts: int) -> str | None:
        """Take the oldest job that waits or was left by a dead worker; only the holder of the training lock may call.

        A job whose workers died `most_attempts` times without getting further is failed here.
        """
        while True:
            with self._connection() as connection:
                row = connection.execute(
                    "SELECT * FROM jobs WHERE status IN ('queued', 'validating_files', 'running') "
                    "ORDER BY created_at, rowid LIMIT 1"
                ).fetchone()
                if row is None:
                    return None
                job_id, step = str(row["id"]), int(row["step"] or 0)
                attempts = 1 if step > row["attempts_step"] else int(row["attempts"]) + 1
                if row["wish"] != "cancel" and attempts <= most_attempts:
                    taken = connection.execute(
                        "UPDATE jobs SET status = 'validating_files', attempts = ?, attempts_step = ?, heartbeat_at = ? "
                        "WHERE id = ? AND status = ?",
                        (attempts, step, time.time(), job_id, row["status"]),
                    ).rowcount
                    if not taken:  # cancelled or paused in this moment
                        continue
                    if row["status"] != "queued":
                        self._insert_event(
                            connection,
                            job_id,
                            level="warn",
                            message=f"The worker died after step {step}; a new one goes on from the last checkpoint.",
                        )
                    return job_id
            if row["wish"] == "cancel":
                self.move(job_id, to="cancelled", of=[row["status"]], message="Cancelled.")
                continue
            fault = JobFault(
                code="worker_died",
                message=f"the worker process died {most_attempts} times after step {step}, without a reason that it could "
                f"write down: most often the system stopped it for lack of memory. Its last words are in "
                f"{self.home.worker_log}.",
            )
            self.move(
                job_id, to="failed", of=[row["status"]], message=f"Failed: {fault.message}", level="error", fault=fault
            )

    def progress(
        self,
        job_id: str,
        *,
        step: int,
        total_steps: int,
        trained_tokens: int,
        seconds_left: float | None,
        message: str,
        metrics: Mapping[str, JsonValue],
    ) -> str:
        """Record a training step with its metrics; return the wish that waits."""
        with self._connection() as connection:
            connection.execute(
                "UPDATE jobs SET step = ?, total_steps = ?, trained_tokens = ?, seconds_left = ?, heartbeat_at = ? WHERE id = ?",
                (step, total_steps, trained_tokens, seconds_left, time.time(), job_id),
            )
            self._insert_event(connection, job_id, level="info", message=message, kind="metrics", data=metrics)
            return str(self._row(connection, job_id)["wish"])

    def rewind(self, job_id: str, *, step: int) -> None:
        """Forget the metrics after `step`, which a dead worker wrote and its successor will write again."""
        with self._connection() as connection:
            connection.execute(
                "DELETE FROM events WHERE job_id = ? AND type = 'metrics' AND json_extract(data, '$.step') > ?",
                (job_id, step),
            )

    def finish(self, job_id: str, *, name: str, folder: Path, card: str, trained_tokens: int, result_file: str) -> bool:
        """Make a running job succeeded and its model known, in one transaction."""
        now = time.time()
        with self._connection() as connection:
            changed = connection.execute(
                "UPDATE jobs SET status = 'succeeded', finished_at = ?, fine_tuned_model = ?, trained_tokens = ?, "
                "result_file = ?, wish = '', seconds_left = NULL WHERE id = ? AND status = 'running'",
                (now, name, trained_tokens, result_file, job_id),
            ).rowcount
            if changed:
                connection.execute(
                    "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)",
                    (name, job_id, self._relative(folder), card, now),
                )
                self._insert_event(connection, job_id, level="info", message=f"New fine-tuned model created: {name}")
                self._insert_event(connection, job_id, level="info", message="The job has succeeded.")
        return bool(changed)

    # events, checkpoints, models

    def event(self, job_id: str, message: str, *, level: str = "info") -> None:
        """Record that something happened."""
        with self._connection() as connection:
            self._insert_event(connection, job_id, level=level, message=message)

    @staticmethod
    def _insert_event(
        connection: sqlite3.Connection,
        job_id: str,
        *,
        level: str,
        message: str,
        kind: str = "message",
        data: Mapping[str, JsonValue] | None = None,
    ) -> None:
        connection.execute(
            "INSERT INTO events (id, job_id, created_at, level, type, message, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                f"ftevent-{secrets.token_hex(12)}",
                job_id,
                time.time(),
                level,
                kind,
                message,
                orjson.dumps(data or {}).decode(),
            ),
        )

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        """A job's events, the oldest first."""
        with self._connection() as connection:
            self._row(connection, job_id)
            rows = connection.execute(
                "SELECT * FROM events WHERE job_id = ? AND seq > coalesce((SELECT seq FROM events WHERE id = ?), 0) ORDER BY seq",
                (job_id, after),
            ).fetchall()
        return [
            Event(
                id=row["id"],
                created_at=_moment(row["created_at"]),
                level=row["level"],
                message=row["message"],
                type=row["type"],
                data=orjson.loads(row["data"]),
            )
            for row in rows
        ]

    def add_checkpoint(
        self, job_id: str, *, name: str, step: int, metrics: Mapping[str, float], folder: Path, card: str
    ) -> None:
        """Make a checkpoint known as a model of its own."""
        now = time.time()
        with self._connection() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
                (f"ftckpt-{secrets.token_hex(12)}", job_id, name, step, now, orjson.dumps(metrics).decode()),
            )
            connection.execute(
                "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)",
                (name, job_id, self._relative(folder), card, now),
            )

    def drop_checkpoint(self, job_id: str, *, step: int) -> None:
        """Forget a checkpoint whose files are about to be deleted."""
        with self._connection() as connection:
            row = connection.execute(
                "SELECT name FROM checkpoints WHERE job_id = ? AND step = ?", (job_id, step)
            ).fetchone()
            if row is not None:
                connection.execute("DELETE FROM checkpoints WHERE name = ?", (row["name"],))
                connection.execute("DELETE FROM models WHERE name = ?", (row["name"],))

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """A job's checkpoints, the oldest first."""
        with self._connection() as connection:
            self._row(connection, job_id)
            rows = connection.execute("SELECT * FROM checkpoints WHERE job_id = ? ORDER BY step", (job_id,)).fetchall()
        return [
            Checkpoint(
                id=row["id"],
                name=row["name"],
                step=row["step"],
                created_at=_moment(row["created_at"]),
                metrics=orjson.loads(row["metrics"]),
            )
            for row in rows
        ]

    def model(self, name: str) -> ModelRecord | None:
        """A fine-tuned model or checkpoint, or None."""
        with self._connection() as connection:
            row = connection.execute("SELECT * FROM models WHERE name = ?", (name,)).fetchone()
        return None if row is None else ModelRecord(name=row["name"], folder=row["folder"], card=row["card"])

    def model_names(self) -> tuple[str, ...]:
        """The fine-tuned models, the newest first; checkpoints left out."""
        with self._connection() as connection:
            rows = connection.execute(
                "SELECT name FROM models WHERE name NOT IN (SELECT name FROM checkpoints) ORDER BY created_at DESC"
            ).fetchall()
        return tuple(row["name"] for row in rows)

    def may_spawn(self, *, pause_seconds: float) -> bool:
        """Whether no worker was started in the last `pause_seconds`; if so, note that one is started now."""
        now = time.time()
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            row = connection.execute("SELECT spawned_at FROM spawns").fetchone()
            if row is not None and 0 <= now - row["spawned_at"] < pause_seconds:
                return False
            connection.execute("INSERT OR REPLACE INTO spawns VALUES (1, ?)", (now,))
            return True

    def _relative(self, folder: Path) -> str:
        return folder.relative_to(self.home.root).as_posix()  # the home folder may be moved


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)


def _state(row: Mapping[str, Any] | sqlite3.Row) -> JobState:
    fault = JobFault(code=row["error_code"], message=row["error_message"]) if row["error_code"] else None
    return JobState(
        id=row["id"],
        status=row["status"],
        model=row["model"],
        created_at=_moment(row["created_at"]),
        finished_at=None if row["finished_at"] is None else _moment(row["finished_at"]),
        fine_tuned_model=row["fine_tuned_model"],
        fault=fault,
        trained_tokens=row["trained_tokens"],
        step=row["step"],
        total_steps=row["total_steps"],
        seconds_left=row["seconds_left"],
        result_files=() if row["result_file"] is None else (row["result_file"],),
    )
