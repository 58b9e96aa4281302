"""`Archives`: how much of each job came home, as rows to work with and as a table to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, overload

from finetune_kit._tables import html_table, text_table
from finetune_kit.archiving.archive import Archive
from finetune_kit.backends import JobState

How: TypeAlias = Literal["whole", "partly", "not"]
_COLUMNS = ("job", "status", "model", "archived", "files", "bytes", "what is missing")
_REASON_LENGTH = 160


@dataclass(frozen=True, slots=True)
class ArchivedJob:
    """One job, and what came home of it."""

    job_id: str
    state: JobState | None
    """As the host listed it; None where it was asked for by its id."""
    archive: Archive | None
    """None where nothing came home; with an `error`, what an earlier call had brought."""
    error: str = ""
    """Why the job could not be read this time."""

    @property
    def how(self) -> How:
        """Whether all that the host ever had of it came home."""
        if self.archive is None:
            return "not"
        return "whole" if self.archive.whole and not self.error else "partly"

    @property
    def reason(self) -> str:
        """What is missing and why, in words; empty where nothing is."""
        missing = () if self.archive is None else self.archive.not_archived
        told = [f"{one.part} ({one.why}): {one.reason}" for one in missing if one.why in {"later", "gone", "failed"}]
        return "; ".join(filter(None, (self.error, *told)))

    def cells(self) -> tuple[str, ...]:
        """What the table shows."""
        manifest = None if self.archive is None else self.archive.manifest
        files = () if manifest is None else manifest.files
        reason = self.reason
        return (
            self.job_id,
            manifest.status if manifest is not None else "-" if self.state is None else self.state.status,
            manifest.model if manifest is not None else "-" if self.state is None else self.state.model,
            self.how,
            f"{len(files):,}",
            f"{sum(file.size_bytes for file in files):,}",
            reason if len(reason) <= _REASON_LENGTH else reason[: _REASON_LENGTH - 1] + "…",
        )


class Archives(Sequence[ArchivedJob]):
    """The jobs in the order in which they were brought home; printed, an aligned table with the sum below."""

    def __init__(self, rows: Iterable[ArchivedJob]) -> None:
        self._rows = tuple(rows)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> ArchivedJob: ...
    @overload
    def __getitem__(self, index: slice) -> Archives: ...
    def __getitem__(self, index: int | slice) -> ArchivedJob | Archives:
        return Archives(self._rows[index]) if isinstance(index, slice) else self._rows[index]

    def only(self, how: How) -> Archives:
        """Those that came home so far."""
        return Archives(row for row in self._rows if row.how == how)

    @property
    def whole(self) -> bool:
        """Whether everything came home."""
        return all(row.how == "whole" for row in self._rows)

    @property
    def counted(self) -> str:
        """How many came home whole, partly and not, in words."""
        counts = Counter(row.how for row in self._rows)
        return f"{counts['whole']:,} whole, {counts['partly']:,} partly, {counts['not']:,} not"

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return text_table(_COLUMNS, self._cells(), note=self._note)

    def _repr_html_(self) -> str:
        return html_table(_COLUMNS, self._cells(), note=self._note)

    def _cells(self) -> Iterator[tuple[str, ...]]:
        return (row.cells() for row in self._rows)

    @property
    def _note(self) -> str:
        return f"{len(self):,} in all: {self.counted}."
