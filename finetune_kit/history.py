"""`jobs`: everything that this machine has ever started, on every host, without asking any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import overload

from finetune_kit._arguments import string
from finetune_kit._quoting import counted
from finetune_kit._tables import html_table, text_table
from finetune_kit.backends import Backend, LocalBackend
from finetune_kit.errors import ParameterError
from finetune_kit.hosts import DAYS_OF_WARNING, host_profile, host_profiles, today
from finetune_kit.hosts.closing import last_day
from finetune_kit.hosts.told import Told, told_by_hosts, told_file
from finetune_kit.job import FineTuneJob
from finetune_kit.ledger import Intent, IntentState, Ledger

_COLUMNS = ("started", "host", "job", "model", "suffix", "state", "last seen", "shuts down", "fine-tuned model")
_IN_WORDS: dict[IntentState, str] = {
    "waiting": "not started yet",
    "asked": "not known",
    "started": "",
    "void": "refused",
}


@dataclass(frozen=True, slots=True)
class JobRow:
    """One training that this machine asked for."""

    host: str
    address: str
    """Where the host answers; empty on this machine."""
    account: str
    job_id: str | None
    """None where no job came of it, or where that is not known yet."""
    token: str
    """Goes with the job where the host keeps metadata, under the key `ftk_token`."""
    requested_model: str
    model: str
    method: str
    suffix: str | None
    fine_tuned_model: str | None
    status: str
    """Of the job, when it was last seen; empty where it never was."""
    seen_at: datetime | None
    started_at: datetime
    """When it was asked for."""
    shuts_down: date | None
    """The first day on which its model does not answer any more, as far as is known here."""
    days_left: int | None
    """Until then, from today on."""
    intent: IntentState
    """`asked` is one whose outcome is not known: the next `train` of the same looks for its job."""

    @classmethod
    def of(cls, intent: Intent, told: Mapping[str, Told]) -> JobRow:
        """A row of the table, with the last days that hosts have told."""
        shuts_down = _last_day(intent, told.get(intent.place.host))
        return cls(
            host=intent.place.host,
            address=intent.place.address,
            account=intent.place.account,
            job_id=intent.job_id,
            token=intent.token,
            requested_model=intent.requested_model,
            model=intent.model,
            method=intent.method,
            suffix=intent.suffix,
            fine_tuned_model=intent.fine_tuned_model,
            status=intent.status,
            seen_at=_moment(intent.seen_at),
            started_at=datetime.fromtimestamp(intent.created_at, UTC),
            shuts_down=shuts_down,
            days_left=None if shuts_down is None else max(0, (shuts_down - today()).days),
            intent=intent.state,
        )

    def attach(self, backend: Backend | None = None) -> FineTuneJob:
        """The job, asked of its host by `backend`, or else by one with the key that the environment holds.

        Raises `ParameterError` where no job is known.
        """
        if self.job_id is None:
            raise ParameterError(
                f"no job is known of this training ({_IN_WORDS[self.intent]}). Call train() with the same data and "
                "settings: it looks for the job first.",
                parameter="job_id",
            )
        if backend is None and self.host == "local":
            backend = LocalBackend(home=self.account)
        return FineTuneJob.attach(self.job_id, backend)

    def cells(self) -> tuple[str, ...]:
        """What the table shows."""
        return (
            _shown(self.started_at),
            self.host,
            self.job_id or "-",
            self.requested_model,
            self.suffix or "-",
            self.status or _IN_WORDS[self.intent],
            _shown(self.seen_at),
            "-" if self.shuts_down is None else f"{self.shuts_down}, {counted(self.days_left or 0, 'day')}",
            self.fine_tuned_model or "-",
        )


class JobTable(Sequence[JobRow]):
    """Rows to work with, the newest first; printed, an aligned table, and a table in a notebook too."""

    def __init__(self, rows: Iterable[JobRow]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> JobRow: ...
    @overload
    def __getitem__(self, index: slice) -> JobTable: ...
    def __getitem__(self, index: int | slice) -> JobRow | JobTable:
        return JobTable(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return text_table(_COLUMNS, self._cells(), note=self._note())

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._cells(), note=self._note())

    def _cells(self) -> Iterator[tuple[str, ...]]:
        return (row.cells() for row in self._rows)

    def _note(self) -> str:
        told = "As this machine last saw them; attach() asks the host."
        if any(row.intent == "asked" for row in self._rows):
            told += " Of those that are not known, the answer was lost: train() with the same data looks for the job."
        closing = sum(row.days_left is not None and row.days_left <= DAYS_OF_WARNING for row in self._rows)
        if closing:
            told += (
                f" The models of {counted(closing, 'job')} shut down within {DAYS_OF_WARNING} days or have: "
                "finetune_kit.archive_all(backend, folder) brings jobs home, job.migrate(to=...) trains them elsewhere."
            )
        return told


def jobs(host: str | None = None) -> JobTable:
    """The trainings that this machine has asked for, on one host or on all, the newest first; no host is asked.

    Raises `ParameterError` for a host that is not known, and of which there are none.

    >>> for row in jobs("openai"):  # doctest: +SKIP
    ...     print(row.job_id, row.status, row.attach().status)
    """
    intents = Ledger().intents.all(None if host is None else string("host", host))
    if not intents and host is not None:
        host_profile(host)  # raises where there is no such host
    told = told_by_hosts(told_file())
    return JobTable(JobRow.of(intent, told) for intent in intents)


def _last_day(intent: Intent, told: Told | None) -> date | None:
    """As the host itself told it of the fine-tuned model, else that of its base."""
    profile = host_profiles().get(intent.place.host)
    return last_day(intent.model, intent.fine_tuned_model, profile=profile, told=told)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _shown(when: datetime | None) -> str:
    return "-" if when is None else when.astimezone().strftime("%Y-%m-%d %H:%M")
