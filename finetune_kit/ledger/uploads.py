"""What was sent to hosts: a row is written before the first byte goes, under a file name that nobody else has."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from finetune_kit._clock import clock
from finetune_kit._database import Database
from finetune_kit.ledger.place import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file that was sent, or begun to be."""

    filename: str
    """Unique, so that a file whose id never arrived is found by it."""
    place: Place
    sha256: str
    size_bytes: int
    begun_at: float
    file_id: str | None = None
    """None until the host has given it."""

    @classmethod
    def new(cls, place: Place, *, filename: str, sha256: str, size_bytes: int) -> Upload:
        """One that begins now."""
        return cls(filename=filename, place=place, sha256=sha256, size_bytes=size_bytes, begun_at=clock().now())


class Journal:
    """What has arrived of one upload in parts: a `PartJournal` that outlives the process."""

    def __init__(self, database: Database, filename: str) -> None:
        self._database, self._filename = database, filename

    @property
    def upload_id(self) -> str | None:
        """The upload that was begun, or None."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT upload_id FROM uploads WHERE filename = ?", (self._filename,)).fetchone()
        return None if row is None or row["upload_id"] is None else str(row["upload_id"])

    @property
    def part_bytes(self) -> int | None:
        """The size of its parts, the last one aside."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT part_bytes FROM uploads WHERE filename = ?", (self._filename,)).fetchone()
        return None if row is None or row["part_bytes"] is None else int(row["part_bytes"])

    @property
    def parts(self) -> Mapping[int, str]:
        """Ids of the parts that have arrived, by their number from 0."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT number, part_id FROM parts WHERE filename = ? ORDER BY number", (self._filename,)
            )
            return {int(row["number"]): str(row["part_id"]) for row in rows}

    def begin(self, upload_id: str, *, part_bytes: int) -> None:
        """Remember a new upload, and forget the parts of the one before."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM parts WHERE filename = ?", (self._filename,))
            connection.execute(
                "UPDATE uploads SET upload_id = ?, part_bytes = ? WHERE filename = ?",
                (upload_id, part_bytes, self._filename),
            )

    def arrived(self, number: int, part_id: str) -> None:
        """Remember a part."""
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (self._filename, number, part_id))


class Uploads:
    """The table of uploads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, upload: Upload) -> Journal:
        """Remember that a file is about to be sent."""
        place = upload.place
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO uploads (filename, host, account, sha256, bytes, begun_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (upload.filename, place.host, place.account, upload.sha256, upload.size_bytes, upload.begun_at),
            )
        return Journal(self._database, upload.filename)

    def arrived(self, upload: Upload, file_id: str) -> None:
        """Remember the host's name for it; its parts are of no more use."""
        with self._database.transaction(durable=True) as connection:
            connection.execute("UPDATE uploads SET file_id = ? WHERE filename = ?", (file_id, upload.filename))
            connection.execute("DELETE FROM parts WHERE filename = ?", (upload.filename,))

    def forget(self, upload: Upload) -> None:
        """It is not at the host, or of no use there."""
        with self._database.transaction() as connection:
            _delete(connection, "filename = ?", (upload.filename,))

    def forget_file(self, place: Place, file_id: str) -> None:
        """The same for a file by its id."""
        with self._database.transaction() as connection:
            _delete(connection, "host = ? AND account = ? AND file_id = ?", (place.host, place.account, file_id))

    def of_content(self, place: Place, *, sha256: str, size_bytes: int) -> list[Upload]:
        """Everything that was sent of one content, what has arrived first, then the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM uploads WHERE host = ? AND account = ? AND sha256 = ? AND bytes = ? "
                "ORDER BY file_id IS NULL, begun_at DESC, rowid DESC",
                (place.host, place.account, sha256, size_bytes),
            ).fetchall()
        return [_upload(row, place) for row in rows]


def _delete(connection: sqlite3.Connection, condition: str, values: tuple[str, ...]) -> None:
    connection.execute(f"DELETE FROM parts WHERE filename IN (SELECT filename FROM uploads WHERE {condition})", values)
    connection.execute(f"DELETE FROM uploads WHERE {condition}", values)


def _upload(row: sqlite3.Row, place: Place) -> Upload:
    return Upload(
        filename=row["filename"],
        place=place,
        sha256=row["sha256"],
        size_bytes=row["bytes"],
        begun_at=row["begun_at"],
        file_id=row["file_id"],
    )
