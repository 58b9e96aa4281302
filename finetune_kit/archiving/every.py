"""All jobs of an account, brought home one after the other; one that fails does not keep the others."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from finetune_kit._arguments import string
from finetune_kit._quoting import counted
from finetune_kit.archiving.answers import MOST_PROMPTS
from finetune_kit.archiving.archive import Archive
from finetune_kit.archiving.archives import ArchivedJob, Archives
from finetune_kit.archiving.folder import folder_of, made
from finetune_kit.archiving.inquiry import Inquiry
from finetune_kit.archiving.job import Purse, Wanted, archive_job
from finetune_kit.archiving.manifest import NAME
from finetune_kit.backends import Backend, JobState
from finetune_kit.errors import DataError, FinetuneKitError, ParameterError

USUAL_BUDGET = 10.0
"""US dollars for the answers of all models together."""

_HARMLESS = re.compile(r"[a-z0-9][a-z0-9-]{0,90}")
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])")
_log = logging.getLogger("finetune_kit")


def archive_all(
    backend: Backend,
    folder: str | os.PathLike[str],
    *,
    jobs: Iterable[str] | None = None,
    yardstick: int = MOST_PROMPTS,
    budget: float | None = USUAL_BUDGET,
    on_archived: Callable[[ArchivedJob], None] | None = None,
) -> Archives:
    """Bring all jobs of an account home, or those with the ids `jobs`, each into a folder of its own in `folder`.

    Never faster than the host allows. A job that fails is told in the table that comes back, and the others go on;
    the same call again fetches what is missing, and nothing else. `on_archived` is told of each job when it is done.

    `yardstick` and `budget` are those of `FineTuneJob.archive`, but that `budget`, in US dollars, is for all models
    together. Where it is used up, the answers of the others are named as left out.

    >>> print(archive_all(HostedBackend(), "archives"))  # doctest: +SKIP
    """
    wanted = Wanted.of(yardstick=yardstick, budget=budget)
    host, purse, known = Inquiry(backend), Purse(wanted.budget), dict[str, Path]()
    place = made(folder_of(folder))
    rows: list[ArchivedJob] = []
    for job_id, state in _listed(host, jobs).items():
        path = place / folder_name(job_id)
        try:
            archive = archive_job(backend, job_id, path, wanted, purse=purse, host=host, known=known)
            row = ArchivedJob(job_id, state, archive)
        except FinetuneKitError as error:
            row = ArchivedJob(job_id, state, _earlier(path, job_id), f"{error}")
        _log.log(
            logging.INFO if row.how == "whole" else logging.WARNING, "%s: %s %s", job_id, row.how, row.reason[:300]
        )
        rows.append(row)
        if on_archived is not None:
            on_archived(row)
    _log.info("%s of %r: %s.", counted(len(rows), "job"), backend.profile.name, Archives(rows).counted)
    return Archives(rows)


def folder_name(job_id: str) -> str:
    """A folder's name that no id of a host leads elsewhere by, and that no two ids share on any file system."""
    if _HARMLESS.fullmatch(job_id) and not _RESERVED.fullmatch(job_id):
        return job_id
    harmless = re.sub(r"[^A-Za-z0-9-]+", "-", job_id).strip("-")[:60] or "job"
    return f"{harmless}_{hashlib.sha256(job_id.encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _listed(host: Inquiry, jobs: Iterable[str] | None) -> dict[str, JobState | None]:
    """The jobs to bring home; of those that are named, the states are not known yet."""
    if jobs is None:
        listed = host.ask(host.backend.jobs)
        host.paged(len(listed))
        return {state.id: state for state in listed}
    # Most people run no type checker, and a single id is easily passed as it is.
    if isinstance(jobs, str):
        raise ParameterError(f"jobs={jobs!r} is one id. Put it into a list.", parameter="jobs")
    ids: Sequence[str] = [string("jobs", job) for job in jobs]
    return dict.fromkeys(ids)


def _earlier(path: Path, job_id: str) -> Archive | None:
    """What an earlier call had brought home of a job that cannot be had now."""
    try:
        archive = Archive.read(path) if (path / NAME).exists() else None
    except DataError:
        return None
    return archive if archive is not None and archive.job_id == job_id else None
