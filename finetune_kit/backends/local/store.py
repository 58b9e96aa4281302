"""The engine's durable state: files, jobs, events, checkpoints and models of one home.

Any process may open it. Every change of a job's status is one exclusive transaction that looks before it writes, so
that two processes cannot both make it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from finetune_kit.backends.local.database import open_database
from finetune_kit.backends.local.device import Numbers
from finetune_kit.backends.local.home import Home
from finetune_kit.backends.local.process import Process
from finetune_kit.backends.protocol import TERMINAL, Checkpoint, Event, FileState, JobFault, JobState
from finetune_kit.errors import JobNotFoundError, UnknownFileError
from finetune_kit.records import JsonValue

CLAIMED = ("validating_files", "running")
"""Statuses of a job that a worker has in hand."""
LIVE = ("queued", *CLAIMED)
_PAGE_ROWS = 1000
_SUPERSEDED = "superseded"
"""Type of a metrics event that a dead worker wrote and its successor writes again; kept because it may be a cursor."""


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A fine-tuned model or a checkpoint: where it lies and its card."""

    name: str
    folder: str
    card: str


class Store:
    """Everything about one home's jobs; it holds nothing open, so that it can be shared and forked freely."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._database = open_database(home)

    # files

    def add_file(self, blocks: Iterable[bytes], *, filename: str, purpose: str = "fine-tune") -> str:
        """Store bytes under their content's hash; return the file's id. The same content is kept once."""
        folder = self.home.make(self.home.root / "files")
        temporary = folder / f".{secrets.token_hex(8)}.part"
        digest, size = hashlib.sha256(), 0
        with self.home.writing(folder):
            try:
                with temporary.open("xb") as out:
                    for block in blocks:
                        out.write(block)
                        digest.update(block)
                        size += len(block)
                    out.flush()
                    os.fsync(out.fileno())
                temporary.replace(self.home.blob(digest.hexdigest()))
            finally:
                temporary.unlink(missing_ok=True)
        file_id = f"file-{secrets.token_hex(12)}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)",
                (file_id, digest.hexdigest(), size, filename, purpose, time.time()),
            )
        return file_id

    def file(self, file_id: str) -> FileState:
        """A file."""
        with self._database.reading() as connection:
            return _file(_file_row(connection, file_id))

    def files(self, *, purpose: str = "fine-tune") -> list[FileState]:
        """All files of a purpose, the newest first."""
        with self._database.reading() as connection:
            found = connection.execute("SELECT * FROM files WHERE purpose = ? ORDER BY rowid DESC", (purpose,))
            return [_file(row) for row in found.fetchall()]

    def file_path(self, file_id: str) -> Path:
        """Where a file's bytes lie."""
        with self._database.reading() as connection:
            return self.home.blob(_file_row(connection, file_id)["sha256"])

    def delete_file(self, file_id: str) -> None:
        """Forget a file, and delete its bytes unless another file has the same."""
        with self._database.transaction() as connection:
            sha256 = _file_row(connection, file_id)["sha256"]
            connection.execute("DELETE FROM files WHERE id = ?", (file_id,))
            shared = connection.execute("SELECT 1 FROM files WHERE sha256 = ?", (sha256,)).fetchone()
            if shared is None:  # within the transaction, so that nobody stores the same bytes meanwhile
                with self.home.writing(self.home.blob(sha256)):
                    self.home.blob(sha256).unlink(missing_ok=True)

    # jobs

    def add_job(self, *, model: str, spec: bytes, first_events: Iterable[tuple[str, str]]) -> str:
        """Create a queued job with its first events, given as (level, message)."""
        job_id = f"ftjob-{secrets.token_hex(12)}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO jobs (id, status, model, spec, created_at, heartbeat_at) VALUES (?, 'queued', ?, ?, ?, ?)",
                (job_id, model, spec.decode(), time.time(), time.time()),
            )
            for level, message in first_events:
                _insert_event(connection, job_id, level=level, message=message)
        return job_id

    def job(self, job_id: str) -> JobState:
        """A job now."""
        with self._database.reading() as connection:
            return _state(self._row(connection, job_id))

    def jobs(self) -> list[JobState]:
        """All jobs, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT * FROM jobs ORDER BY rowid DESC").fetchall()
        return [_state(row) for row in rows]

    def started(self, token: str) -> list[JobState]:
        """The jobs whose specification has this token, the oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM jobs WHERE json_extract(spec, '$.token') = ? ORDER BY rowid", (token,)
            ).fetchall()
        return [_state(row) for row in rows]

    def spec(self, job_id: str) -> bytes:
        """A job's specification as JSON."""
        with self._database.reading() as connection:
            return str(self._row(connection, job_id)["spec"]).encode()

    def wish(self, job_id: str) -> str:
        """What was asked of a running job: `cancel`, `pause` or nothing."""
        with self._database.reading() as connection:
            return str(self._row(connection, job_id)["wish"])

    def move(self, job_id: str, *, to: str, of: Iterable[str], message: str, fault: JobFault | None = None) -> bool:
        """Change a job's status if it is one of `of`, and say so in an event; return whether it was."""
        with self._database.transaction() as connection:
            was_one = self._row(connection, job_id)["status"] in set(of)
            if was_one:
                _set_status(connection, job_id, to, message, fault=fault)
        return was_one

    def cancel(self, job_id: str) -> None:
        """Cancel a job that waits, or leave the wish for the worker that has it in hand."""
        with self._database.transaction() as connection:
            status = self._row(connection, job_id)["status"]
            if status in ("queued", "paused"):
                _set_status(connection, job_id, "cancelled", "Cancelled.")
            elif status in CLAIMED:
                _set_wish(connection, job_id, "cancel")

    def pause(self, job_id: str) -> None:
        """Pause a job that waits, or leave the wish for the worker that has it in hand."""
        with self._database.transaction() as connection:
            row = self._row(connection, job_id)
            if row["status"] == "queued":
                _set_status(connection, job_id, "paused", "Paused.")
            elif row["status"] in CLAIMED and row["wish"] != "cancel":
                _set_wish(connection, job_id, "pause")

    def resume(self, job_id: str) -> bool:
        """Queue a paused job again, or take back the wish to pause it; return whether it was queued."""
        with self._database.transaction() as connection:
            row = self._row(connection, job_id)
            if row["status"] == "paused":
                _set_status(connection, job_id, "queued", "Resumed.")
                return True
            if row["wish"] == "pause":
                _set_wish(connection, job_id, "")
        return False

    def obey(self, job_id: str, *, go_on: bool = False) -> str:
        """Put down a job in hand as was wished; return its status then.

        A wish that was taken back in the meantime queues it again or, with `go_on`, leaves it in hand.
        """
        with self._database.transaction() as connection:
            row = self._row(connection, job_id)
            if row["status"] not in CLAIMED or (go_on and not row["wish"]):
                return str(row["status"])
            to, message = {
                "cancel": ("cancelled", "Cancelled."),
                "pause": ("paused", "Paused; resume() goes on from here."),
            }.get(row["wish"], ("queued", "Resumed."))
            _set_status(connection, job_id, to, message)
        return to

    def claim(self, *, most_attempts: int) -> str | None:
        """Take the oldest job that waits or was left by a dead worker; only the holder of the training lock may call.

        A job whose workers died `most_attempts` times without getting further is failed here.
        """
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"SELECT * FROM jobs WHERE status IN ({', '.join('?' * len(LIVE))}) ORDER BY rowid", LIVE
            ).fetchall()
            return next((row["id"] for row in rows if self._take(connection, row, most_attempts)), None)

    def _take(self, connection: sqlite3.Connection, row: sqlite3.Row, most_attempts: int) -> bool:
        job_id, step = str(row["id"]), int(row["step"] or 0)
        if row["wish"] == "cancel":
            _set_status(connection, job_id, "cancelled", "Cancelled.")
            return False
        was_left = row["status"] in CLAIMED
        attempts = int(row["attempts"]) + 1 if was_left and step <= row["attempts_step"] else 1
        if attempts > most_attempts:
            reason = (
                f"the worker process died {most_attempts} times after step {step}, without a reason that it could "
                "write down: most often the system stopped it for lack of memory. Its last words are in "
                f"{self.home.worker_log}."
            )
            _set_status(
                connection, job_id, "failed", f"Failed: {reason}", fault=JobFault(code="worker_died", message=reason)
            )
            return False
        connection.execute(
            "UPDATE jobs SET status = 'validating_files', attempts = ?, attempts_step = ?, heartbeat_at = ? "
            "WHERE id = ?",
            (attempts, step, time.time(), job_id),
        )
        if was_left:
            message = f"The worker died after step {step}; a new one goes on from the last saved state."
            _insert_event(connection, job_id, level="warn", message=message)
        return True

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
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE jobs SET step = ?, total_steps = ?, trained_tokens = ?, seconds_left = ?, heartbeat_at = ? "
                "WHERE id = ?",
                (step, total_steps, trained_tokens, seconds_left, time.time(), job_id),
            )
            _insert_event(connection, job_id, level="info", message=message, kind="metrics", data=metrics)
            return str(self._row(connection, job_id)["wish"])

    def rewind(self, job_id: str, *, step: int) -> None:
        """Forget the metrics after `step`, which a dead worker wrote and its successor will write again."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE events SET type = ? WHERE job_id = ? AND type = 'metrics' AND json_extract(data, '$.step') > ?",
                (_SUPERSEDED, job_id, step),
            )
            connection.execute("UPDATE jobs SET step = ? WHERE id = ? AND step > ?", (step, job_id, step))

    def finish(self, job_id: str, *, name: str, folder: Path, card: str, trained_tokens: int, result_file: str) -> None:
        """Make a running job succeeded and its model known, in one transaction."""
        with self._database.transaction() as connection:
            self._insert_model(connection, job_id, name=name, folder=folder, card=card)
            _insert_event(connection, job_id, level="info", message=f"New fine-tuned model created: {name}")
            connection.execute(
                "UPDATE jobs SET fine_tuned_model = ?, trained_tokens = ?, result_file = ? WHERE id = ?",
                (name, trained_tokens, result_file, job_id),
            )
            _set_status(connection, job_id, "succeeded", "The job has succeeded.")
            # A worker that died just before this had stored its results too; only one worker at a time gets here.
            connection.execute(
                "DELETE FROM files WHERE purpose = 'fine-tune-results' AND id NOT IN "
                "(SELECT result_file FROM jobs WHERE result_file IS NOT NULL)"
            )

    def _row(self, connection: sqlite3.Connection, job_id: str) -> sqlite3.Row:
        row: sqlite3.Row | None = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if row is None:
            raise JobNotFoundError(
                f"there is no job {job_id!r} under {self.home.root}. Jobs of another home folder need home= or "
                "FINETUNE_KIT_HOME.",
                job_id=job_id,
            )
        return row

    def numbers(self, job_id: str) -> Numbers | None:
        """What a job computes with, since it has first started."""
        with self._database.reading() as connection:
            row = self._row(connection, job_id)
        return None if row["dtype"] is None else Numbers(dtype=row["dtype"], threads=row["threads"])

    def keep_numbers(self, job_id: str, numbers: Numbers) -> Numbers:
        """Fix them for every worker to come: a measurement of another day may choose others."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "UPDATE jobs SET dtype = ?, threads = ? WHERE id = ?", (numbers.dtype, numbers.threads, job_id)
            )
        return numbers

    # events

    def event(self, job_id: str, message: str) -> None:
        """Record that something happened."""
        with self._database.transaction() as connection:
            _insert_event(connection, job_id, level="info", message=message)

    def tell_in_hand(self, message: str) -> None:
        """Record a warning for the job that a worker has in hand, if one has."""
        with self._database.transaction() as connection:
            found = connection.execute("SELECT id FROM jobs WHERE status IN (?, ?)", CLAIMED).fetchall()
            for row in found:
                _insert_event(connection, row["id"], level="warn", message=message)

    def events(self, job_id: str, *, after: str | None = None) -> list[Event]:
        """A job's events, the oldest first."""
        with self._database.reading() as connection:
            return self._events(connection, job_id, after=after)

    def _events(self, connection: sqlite3.Connection, job_id: str, *, after: str | None) -> list[Event]:
        self._row(connection, job_id)
        rows = connection.execute(
            "SELECT * FROM events WHERE job_id = ? AND type != ? "
            "AND seq > coalesce((SELECT seq FROM events WHERE id = ?), 0) ORDER BY seq",
            (job_id, _SUPERSEDED, after),
        )
        return [_event(row) for row in rows]

    def metrics(self, job_id: str) -> Iterator[dict[str, JsonValue]]:
        """What every step measured, in their order; read a page at a time, so that memory stays flat."""
        last = 0
        while True:
            with self._database.reading() as connection:
                rows = connection.execute(
                    "SELECT seq, data FROM events WHERE job_id = ? AND type = 'metrics' AND seq > ? "
                    "ORDER BY seq LIMIT ?",
                    (job_id, last, _PAGE_ROWS),
                ).fetchall()
            for row in rows:
                yield orjson.loads(row["data"])
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1]["seq"]

    # checkpoints and models

    def add_checkpoint(
        self, job_id: str, *, name: str, step: int, metrics: Mapping[str, float], folder: Path, card: str
    ) -> None:
        """Make a checkpoint known as a model of its own."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
                (f"ftckpt-{secrets.token_hex(12)}", job_id, name, step, time.time(), orjson.dumps(metrics).decode()),
            )
            self._insert_model(connection, job_id, name=name, folder=folder, card=card)

    def drop_checkpoint(self, job_id: str, *, step: int) -> None:
        """Forget a checkpoint whose files are about to be deleted."""
        with self._database.transaction() as connection:
            of_step = "SELECT name FROM checkpoints WHERE job_id = ? AND step = ?"
            connection.execute(f"DELETE FROM models WHERE name IN ({of_step})", (job_id, step))
            connection.execute("DELETE FROM checkpoints WHERE job_id = ? AND step = ?", (job_id, step))

    def checkpoints(self, job_id: str) -> list[Checkpoint]:
        """A job's checkpoints, the oldest first."""
        with self._database.reading() as connection:
            self._row(connection, job_id)
            rows = connection.execute("SELECT * FROM checkpoints WHERE job_id = ? ORDER BY step", (job_id,)).fetchall()
        return [_checkpoint(row) for row in rows]

    def model(self, name: str) -> ModelRecord | None:
        """A fine-tuned model or checkpoint, or None."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM models WHERE name = ?", (name,)).fetchone()
        return None if row is None else ModelRecord(name=row["name"], folder=row["folder"], card=row["card"])

    def model_names(self) -> tuple[str, ...]:
        """The fine-tuned models, the newest first; checkpoints left out."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT name FROM models WHERE name NOT IN (SELECT name FROM checkpoints) ORDER BY created_at DESC"
            ).fetchall()
        return tuple(row["name"] for row in rows)

    def _insert_model(self, connection: sqlite3.Connection, job_id: str, *, name: str, folder: Path, card: str) -> None:
        relative = folder.relative_to(self.home.root).as_posix()  # the home folder may be moved
        connection.execute(
            "INSERT OR REPLACE INTO models VALUES (?, ?, ?, ?, ?)", (name, job_id, relative, card, time.time())
        )

    # workers

    def works(self, process: Process) -> None:
        """Note which process holds the training lock now."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO worker (only_row, pid, mark, beat_at) VALUES (1, ?, ?, ?)",
                (process.pid, process.mark, time.time()),
            )

    def beat(self) -> None:
        """Note that it lives."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE worker SET beat_at = ?", (time.time(),))

    def worker(self) -> tuple[Process, float] | None:
        """The process that has noted last that it holds the training lock, and when it was last heard of."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT * FROM worker").fetchone()
        return None if row is None else (Process(row["pid"], row["mark"]), row["beat_at"])

    def waits(self) -> bool:
        """Whether a job is to be taken in hand."""
        with self._database.reading() as connection:
            return connection.execute("SELECT 1 FROM jobs WHERE status = 'queued' LIMIT 1").fetchone() is not None

    def may_spawn(self, *, pause_seconds: float) -> bool:
        """Whether no worker was started in the last `pause_seconds`; if so, note that one is started now."""
        with self._database.transaction() as connection:
            now = time.time()  # once the lock is held: taken before, it may lie before the start it is compared with
            row = connection.execute("SELECT spawned_at FROM spawns").fetchone()
            if row is not None and abs(now - row["spawned_at"]) < pause_seconds:  # a clock may be set back a little
                return False
            connection.execute("INSERT OR REPLACE INTO spawns VALUES (1, ?)", (now,))
            return True


def _set_wish(connection: sqlite3.Connection, job_id: str, wish: str) -> None:
    connection.execute("UPDATE jobs SET wish = ? WHERE id = ?", (wish, job_id))


def _set_status(
    connection: sqlite3.Connection, job_id: str, to: str, message: str, *, fault: JobFault | None = None
) -> None:
    """A wish stays while the job is in hand; it has been met, or is void, after that."""
    now = time.time()
    connection.execute(
        "UPDATE jobs SET status = ?, heartbeat_at = ?, finished_at = ?, seconds_left = NULL, error_code = ?, "
        "error_message = ? WHERE id = ?",
        (to, now, now if to in TERMINAL else None, fault and fault.code, fault and fault.message, job_id),
    )
    if to not in CLAIMED:
        _set_wish(connection, job_id, "")
    _insert_event(connection, job_id, level="error" if fault else "info", message=message)


def _insert_event(
    connection: sqlite3.Connection,
    job_id: str,
    *,
    level: str,
    message: str,
    kind: str = "message",
    data: Mapping[str, JsonValue] | None = None,
) -> None:
    event_id = f"ftevent-{secrets.token_hex(12)}"
    connection.execute(
        "INSERT INTO events (id, job_id, created_at, level, type, message, data) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event_id, job_id, time.time(), level, kind, message, orjson.dumps(data or {}).decode()),
    )


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, tz=UTC)


def _event(row: sqlite3.Row) -> Event:
    return Event(
        id=row["id"],
        created_at=_moment(row["created_at"]),
        level=row["level"],
        message=row["message"],
        type=row["type"],
        data=orjson.loads(row["data"]),
    )


def _checkpoint(row: sqlite3.Row) -> Checkpoint:
    return Checkpoint(
        id=row["id"],
        name=row["name"],
        step=row["step"],
        created_at=_moment(row["created_at"]),
        metrics=orjson.loads(row["metrics"]),
    )


def _file_row(connection: sqlite3.Connection, file_id: str) -> sqlite3.Row:
    row: sqlite3.Row | None = connection.execute("SELECT * FROM files WHERE id = ?", (file_id,)).fetchone()
    if row is None:
        raise UnknownFileError(
            f"the engine has no file {file_id!r}. Ids come from `upload` or a job's result_files.", file_id=file_id
        )
    return row


def _file(row: sqlite3.Row) -> FileState:
    return FileState(
        id=row["id"], filename=row["filename"], size_bytes=row["bytes"], created_at=_moment(row["created_at"])
    )


def _state(row: sqlite3.Row) -> JobState:
    spec = orjson.loads(row["spec"])
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
        training_file=spec.get("training_file"),
        validation_file=spec.get("validation_file"),
        metadata=spec.get("metadata") or {},
    )
