"""What a report is about: one data set, and how it was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from finetune_kit.records import Kind
from finetune_kit.rows import Rows, Source
from finetune_kit.validators.profile import Profile, Survey


@dataclass(frozen=True, slots=True)
class Subject:
    """One data set that was checked."""

    path: str | None
    """The file, as the user named it; None for records from memory."""
    kind: Kind
    rows: int
    """How many examples were checked."""
    name: str | None = None
    """Which side of a split it is, such as `validation`."""
    host: str | None = None
    """The host by whose limits they were checked."""
    format: str | None = None
    """As in `Source`, like all that follow."""
    encoding: str | None = None
    confidence: float | None = None
    bom: bool = False
    delimiter: str | None = None
    rows_refused: int = 0
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()
    survey: Survey = field(default_factory=lambda: Survey(None), repr=False, compare=False)
    """Where the profile comes from."""

    @property
    def profile(self) -> Profile:
        """How long the texts are, and which labels there are; all rows are looked at when it is first asked for."""
        return self.survey.profile()


def subject_of(rows: Rows, source: Source | None, survey: Survey, *, host: str | None = None) -> Subject:
    """The subject of a check of these rows."""
    if source is None:
        path = rows.origin(0).path if len(rows) else None
        return Subject(path, rows.kind, len(rows), host=host, survey=survey)
    return Subject(
        path=source.path,
        kind=rows.kind,
        rows=len(rows),
        host=host,
        format=source.format,
        encoding=source.encoding,
        confidence=source.confidence,
        bom=source.bom,
        delimiter=source.delimiter,
        rows_refused=source.rows_refused,
        columns=dict(source.columns),
        notes=source.notes,
        survey=survey,
    )
