"""What a job measured, as a result file, where a host tells it in another way than by a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from finetune_kit.errors import UnknownFileError
from finetune_kit.hosts import HostProfile

_ENDING = ".measured.csv"
STEP = "step"


def result_file_of(job_id: str) -> str:
    """What the file is called that is made when it is asked for."""
    return f"{job_id}{_ENDING}"


def job_of(file_id: str) -> str | None:
    """The job of such a file; None for a file of the host's."""
    return file_id.removesuffix(_ENDING) if file_id.endswith(_ENDING) else None


def result_file(rows: Iterable[Mapping[str, float]], file_id: str, profile: HostProfile) -> bytes:
    """One line for each step, the first step first, in our words where the profile knows the host's.

    `UnknownFileError` where nothing was measured.
    """
    ours = {theirs: field for field, words in profile.result_columns.items() for theirs in words}
    steps: dict[int, dict[str, float]] = {}
    for row in rows:
        steps.setdefault(int(row[STEP]), {}).update({ours.get(key, key): number for key, number in row.items()})
    if not steps:
        raise UnknownFileError(f"{file_id!r}: the host tells nothing that was measured in this job.", file_id=file_id)
    columns = dict.fromkeys((STEP, *(key for row in steps.values() for key in row)))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({**row, STEP: step} for step, row in sorted(steps.items()))
    return text.getvalue().encode()
