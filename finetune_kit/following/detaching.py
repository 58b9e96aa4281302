"""How to come back to jobs that nobody waits for any more: a line of Python, without a secret."""

from __future__ import annotations

import re
from collections.abc import Sequence

from finetune_kit.backends import Backend, usual_backend
from finetune_kit.errors import Detached, FinetuneKitError

_SHOWN = 3
_LEFT_OUT = re.compile(r"(, )?\w+=None")
_CALL = re.compile(r"[A-Za-z_]\w*\(.*\)")


def attach_line(job_id: str, backend: Backend) -> str:
    """What attaches to a job again, from any process."""
    place = _constructor(backend)
    return f'FineTuneJob.attach("{job_id}"{f", {place}" if place else ""})'


def detached(jobs: Sequence[tuple[str, Backend]]) -> Detached:
    """The error for whoever pressed Ctrl-C while these were live."""
    lines = [attach_line(job_id, backend) for job_id, backend in jobs[:_SHOWN]]
    if len(jobs) == 1:
        job_id = jobs[0][0]
        return Detached(f"stopped waiting; {job_id} goes on. Attach again: {lines[0]}", job_id=job_id)
    more = f" and {len(jobs) - _SHOWN} more" if len(jobs) > _SHOWN else ""
    return Detached(f"stopped waiting; {len(jobs)} jobs go on. Attach again: {', '.join(lines)}{more}")


def _constructor(backend: Backend) -> str:
    """The call that makes such a backend, as its `repr` says it; empty where `connect()` makes one, or it says none."""
    call = _LEFT_OUT.sub("", repr(backend)).replace("(, ", "(")
    if _CALL.fullmatch(call) is None:
        return ""
    try:
        usual = repr(usual_backend())
    except FinetuneKitError:
        return call
    return "" if usual == repr(backend) else call
