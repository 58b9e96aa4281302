"""What a data set tells of its source after something was done with its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from finetune_kit._refused import RefusedRows, joined_refused
from finetune_kit.rows import Refusal, Source

ValueT = TypeVar("ValueT")

_REFUSALS_KEPT = 1000


def noted(source: Source, *notes: str) -> Source:
    """The source with sentences about what was done."""
    return replace(source, notes=(*source.notes, *notes))


def without_refused(source: Source) -> Source:
    """The source with its refused rows given up."""
    return replace(source, rows_refused=0, refusals=(), refused_rows=RefusedRows())


def with_refused(source: Source, refused: int, refusals: Sequence[Refusal], refused_rows: RefusedRows) -> Source:
    """The source with more rows that are refused, beside those that could not be read."""
    if not refused:
        return source
    return replace(
        source,
        rows_refused=source.rows_refused + refused,
        refusals=(*source.refusals, *refusals)[:_REFUSALS_KEPT],
        refused_rows=joined_refused([(None, source.refused_rows), (None, refused_rows)]),
    )


def joined(sources: Sequence[Source], lengths: Sequence[int]) -> Source:
    """The source of rows that were put behind one another, so many of each; what differs is in its `parts`."""
    first = sources[0]
    path = _shared([source.path for source in sources], None)
    parts = tuple(part for source in sources for part in source.parts or (source,))
    if path is not None:
        refusals = [refusal for source in sources for refusal in source.refusals]
        refused_rows = joined_refused([(None, source.refused_rows) for source in sources])
    else:
        refusals = [
            replace(refusal, path=refusal.path or source.path) for source in sources for refusal in source.refusals
        ]
        refused_rows = joined_refused([(source.path, source.refused_rows) for source in sources])
    told = ", ".join(f"{length:,} of {source.name}" for source, length in zip(sources, lengths, strict=True))
    notes = dict.fromkeys(note for source in sources for note in source.notes)
    return Source(
        path=path,
        format=_shared([source.format for source in sources], "several"),
        encoding=_shared([source.encoding for source in sources], None),
        confidence=_shared([source.confidence for source in sources], None),
        bom=any(source.bom for source in sources),
        delimiter=_shared([source.delimiter for source in sources], None),
        rows_read=sum(lengths),
        rows_refused=sum(source.rows_refused for source in sources),
        refusals=tuple(refusals[:_REFUSALS_KEPT]),
        columns=_shared([source.columns for source in sources], {}),
        notes=(*notes, f"Put behind one another: {told}."),
        first_rows=first.first_rows,
        refused_rows=refused_rows,
        parts=parts,
    )


def _shared(values: Sequence[ValueT], otherwise: ValueT) -> ValueT:
    return values[0] if all(value == values[0] for value in values) else otherwise
