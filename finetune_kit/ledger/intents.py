"""What was meant to be started: written before a host is asked, so that no job can be forgotten."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from finetune_kit._clock import clock
from finetune_kit._database import Database
from finetune_kit.errors import StorageError
from finetune_kit.ledger.place import Place

IntentState: TypeAlias = Literal["waiting", "asked", "started", "void"]
"""`waiting`: nothing was asked, or the host has said that nothing came of it, and it will be asked again.
`asked`: a job may exist or not. `started`: its id is known. `void`: the host has refused for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One training that was asked for, and what became of it."""

    token: str
    fingerprint: str
    """The same for every training that would do the same."""
    place: Place
    requested_model: str
    model: str
    method: str
    suffix: str | None = None
    training_file: str
    validation_file: str | None = None
    state: IntentState = "waiting"
    created_at: float
    """Seconds since 1970, like all times here."""
    posted_at: float | None = None
    """When the host was last asked to start it."""
    posts: int = 0
    """How often it was asked where an answer may have been lost."""
    jobs_before: frozenset[str] = frozenset()
    """Jobs that looked the same before the first was asked for, where the host does not keep the token."""
    job_id: str | None = None
    status: str = ""
    """Of the job, when it was last seen."""
    seen_at: float | None = None
    end_seen_at: float | None = None
    """When somebody on this machine was told how it ended, or gave it up."""
    fine_tuned_model: str | None = None
    event_cursor: str | None = None
    """The last event that somebody on this machine was told of."""

    def after_refusal(self, *, for_good: bool) -> Intent:
        """What it is once nothing has come of the last question."""
        posts = max(0, self.posts - 1)
        return replace(self, posts=posts, state="asked" if posts else "void" if for_good else "waiting")


class Intents:
    """The table of intents."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, intent: Intent) -> None:
        """Remember it, whatever happens to this machine."""
        place = intent.place
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO intents (token, fingerprint, host, account, address, requested_model, model, method, "
                "suffix, training_file, validation_file, state, created_at, jobs_before) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(intent.token, intent.fingerprint, place.host, place.account, place.address),
                    *(intent.requested_model, intent.model, intent.method, intent.suffix),
                    *(intent.training_file, intent.validation_file, intent.state, intent.created_at),
                    json.dumps(sorted(intent.jobs_before)),
                ),
            )

    def on_files(
        self, intent: Intent, *, training_file: str, validation_file: str | None, jobs_before: frozenset[str]
    ) -> Intent:
        """Remember that it will be asked for once more, on files that may have other ids by now."""
        before = intent.jobs_before | jobs_before
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "UPDATE intents SET training_file = ?, validation_file = ?, jobs_before = ? WHERE token = ?",
                (training_file, validation_file, json.dumps(sorted(before)), intent.token),
            )
        return replace(intent, training_file=training_file, validation_file=validation_file, jobs_before=before)

    def asking(self, intent: Intent) -> Intent:
        """Remember that the host is about to be asked; a job may exist from now on."""
        now = clock().now()
        with self._database.transaction(durable=True) as connection:
            changed = connection.execute(
                "UPDATE intents SET state = 'asked', posted_at = ?, posts = posts + 1 WHERE token = ?",
                (now, intent.token),
            ).rowcount
        if changed != 1:
            raise StorageError("the ledger was moved away just before a job was to be started.", retryable=True)
        return replace(intent, state="asked", posted_at=now, posts=intent.posts + 1)

    def refused(self, intent: Intent, *, for_good: bool) -> Intent:
        """Remember that nothing came of the last time the host was asked.

        With an earlier time of which that is not known, only the count is taken back.
        """
        after = intent.after_refusal(for_good=for_good)
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "UPDATE intents SET state = ?, posts = ? WHERE token = ?", (after.state, after.posts, intent.token)
            )
        return after

    def void(self, intent: Intent) -> None:
        """Remember that no job came of it, and none will."""
        with self._database.transaction(durable=True) as connection:
            connection.execute("UPDATE intents SET state = 'void' WHERE token = ?", (intent.token,))

    def started(self, intent: Intent, *, job_id: str, status: str) -> Intent:
        """Remember the job that came of it."""
        now = clock().now()
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "UPDATE intents SET state = 'started', job_id = ?, status = ?, seen_at = ? WHERE token = ?",
                (job_id, status, now, intent.token),
            )
            connection.execute("UPDATE cards SET job_id = ? WHERE token = ?", (job_id, intent.token))
        return replace(intent, state="started", job_id=job_id, status=status, seen_at=now)

    def saw(self, place: Place, job_id: str, *, status: str, fine_tuned_model: str | None = None) -> None:
        """Remember how a job is; nothing where this machine did not start it."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE intents SET status = ?, seen_at = ?, fine_tuned_model = coalesce(?, fine_tuned_model) "
                "WHERE host = ? AND account = ? AND job_id = ?",
                (status, clock().now(), fine_tuned_model, place.host, place.account, job_id),
            )
            if fine_tuned_model is not None:
                connection.execute(
                    "UPDATE cards SET model = ? WHERE host = ? AND account = ? AND job_id = ?",
                    (fine_tuned_model, place.host, place.account, job_id),
                )

    def end_seen(self, place: Place, job_id: str) -> None:
        """Remember that somebody knows how it ended, or has given it up: the same training is then a new one."""
        self._note(place, job_id, "end_seen_at", clock().now())

    def told(self, place: Place, job_id: str, *, event_id: str) -> None:
        """Remember the last event that somebody was told of."""
        self._note(place, job_id, "event_cursor", event_id)

    def _note(self, place: Place, job_id: str, column: Literal["end_seen_at", "event_cursor"], value: object) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE intents SET {column} = ? WHERE host = ? AND account = ? AND job_id = ?",
                (value, place.host, place.account, job_id),
            )

    def of_fingerprint(self, fingerprint: str) -> list[Intent]:
        """Those that were not refused, the newest first."""
        return self._find("fingerprint = ? AND state != 'void'", (fingerprint,))

    def of_job(self, place: Place, job_id: str) -> Intent | None:
        """What a job came of, if this machine started it."""
        found = self._find("host = ? AND account = ? AND job_id = ?", (place.host, place.account, job_id))
        return found[0] if found else None

    def unresolved(self, place: Place) -> list[Intent]:
        """Those of which a job may exist or not, the newest first."""
        return self._find("host = ? AND account = ? AND state = 'asked'", (place.host, place.account))

    def unfinished_with(self, place: Place, file_id: str, *, ended: Iterable[str]) -> list[Intent]:
        """Those that may still read a file: their jobs were not seen to have `ended`."""
        words = tuple(ended)
        return self._find(
            "host = ? AND account = ? AND (training_file = ? OR validation_file = ?) AND state != 'void' "
            f"AND status NOT IN ({', '.join('?' * len(words))})",
            (place.host, place.account, file_id, file_id, *words),
        )

    def job_ids(self, place: Place) -> frozenset[str]:
        """All jobs of a place that are known to be this machine's."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT job_id FROM intents WHERE host = ? AND account = ? AND job_id IS NOT NULL",
                (place.host, place.account),
            )
            return frozenset(str(row["job_id"]) for row in rows)

    def all(self, host: str | None = None) -> list[Intent]:
        """All of them, or those of one host, the newest first."""
        return self._find("1", ()) if host is None else self._find("host = ?", (host,))

    def _find(self, condition: str, values: tuple[object, ...]) -> list[Intent]:
        with self._database.reading() as connection:
            rows = connection.execute(
                f"SELECT * FROM intents WHERE {condition} ORDER BY created_at DESC, rowid DESC", values
            ).fetchall()
        return [_intent(row) for row in rows]


def _intent(row: sqlite3.Row) -> Intent:
    return Intent(
        token=row["token"],
        fingerprint=row["fingerprint"],
        place=Place(host=row["host"], account=row["account"], address=row["address"]),
        requested_model=row["requested_model"],
        model=row["model"],
        method=row["method"],
        suffix=row["suffix"],
        training_file=row["training_file"],
        validation_file=row["validation_file"],
        state=row["state"],
        created_at=row["created_at"],
        posted_at=row["posted_at"],
        posts=row["posts"],
        jobs_before=frozenset(json.loads(row["jobs_before"])),
        job_id=row["job_id"],
        status=row["status"],
        seen_at=row["seen_at"],
        end_seen_at=row["end_seen_at"],
        fine_tuned_model=row["fine_tuned_model"],
        event_cursor=row["event_cursor"],
    )
