"""Cards of models on hosts that keep none: written before a job is asked for, found again by it or by its model."""

from __future__ import annotations

from finetune_kit._database import Database
from finetune_kit.cards import ModelCard
from finetune_kit.ledger.place import Place


class Cards:
    """The table of cards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, place: Place, card: ModelCard, *, token: str) -> None:
        """Remember the card of a job that is about to be asked for."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO cards (token, host, account, card) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (token) DO UPDATE SET card = excluded.card",
                (token, place.host, place.account, card.model_dump_json()),
            )

    def began(self, *, token: str, job_id: str) -> None:
        """Remember which job it was."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE cards SET job_id = ? WHERE token = ?", (job_id, token))

    def named(self, place: Place, *, job_id: str, model: str) -> None:
        """Remember what the job's model is called."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE cards SET model = ? WHERE host = ? AND account = ? AND job_id = ?",
                (model, place.host, place.account, job_id),
            )

    def of_token(self, token: str) -> ModelCard | None:
        """A card as it was kept."""
        return self._find("token = ?", (token,))

    def of_job(self, place: Place, job_id: str) -> ModelCard | None:
        """A card as it was kept, by its job."""
        return self._find("host = ? AND account = ? AND job_id = ?", (place.host, place.account, job_id))

    def of_model(self, place: Place, model: str) -> ModelCard | None:
        """A card as it was kept, by the name of its model."""
        return self._find("host = ? AND account = ? AND model = ?", (place.host, place.account, model))

    def job_of_model(self, place: Place, model: str) -> str | None:
        """The job that a model came of, where this machine has seen its end."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT job_id FROM cards WHERE host = ? AND account = ? AND model = ? ORDER BY rowid DESC LIMIT 1",
                (place.host, place.account, model),
            ).fetchone()
        return None if row is None or row["job_id"] is None else str(row["job_id"])

    def _find(self, condition: str, values: tuple[str, ...]) -> ModelCard | None:
        with self._database.reading() as connection:
            row = connection.execute(
                f"SELECT card FROM cards WHERE {condition} ORDER BY rowid DESC LIMIT 1", values
            ).fetchone()
        return None if row is None else ModelCard.model_validate_json(str(row["card"]))
