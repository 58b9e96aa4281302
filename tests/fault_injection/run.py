"""One run: the script is started again until it has what it wants, and then everything is counted at the host."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import orjson
import pytest

from finetune_kit._clock import clock, using
from finetune_kit.following import Notice, Stuck
from finetune_kit.ledger import Ledger
from finetune_kit.testing import HostSimulator, Pace
from tests.fault_injection import script
from tests.fault_injection.attempts import SPEED, Caller, Ended, in_a_process_of_its_own, in_this_process
from tests.fault_injection.plans import Plan, planned

PACE = Pace(processing_seconds=2, validating_seconds=10, queued_seconds=20, running_seconds=90)
CALM_AFTER, GIVEN_UP_AFTER = 8, 14
"""So many attempts are disturbed, and so many made."""
PAUSE_SECONDS = 900.0
"""After so long the user starts the script again that has ended by an error."""
RUN_SECONDS = 60
SECRET_CHARACTERS = 12
"""So many of the key's in a row are a leak."""


@dataclass
class Report:
    """What a run has shown."""

    seed: int
    failures: list[str] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter[str])
    faults: Counter[str] = field(default_factory=Counter[str])
    requests: int = 0
    events: int = 0
    twins: int = 0
    said: str = ""


def run(seed: int) -> Report:
    """The run of a seed, in a folder that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="finetune_kit-", dir=_fast_folder()))
    plan, report = planned(seed), Report(seed)
    fast = script.fast(SPEED if plan.by_signal else float("inf"))
    try:
        with pytest.MonkeyPatch.context() as patch, _limited(report), using(fast):
            patch.setenv("FINETUNE_KIT_HOME", str(folder / "home"))
            script.impatient(patch)
            host = HostSimulator(
                host=plan.flavour, key=plan.key, faults=plan.faults, seed=seed, pace=PACE, models=[plan.model]
            )
            with host:
                _carry_out(plan, host, folder, report)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _carry_out(plan: Plan, host: HostSimulator, folder: Path, report: Report) -> None:
    caller = Caller(
        base_url=host.base_url,
        key=plan.key,
        host=plan.profile,
        model=plan.model,
        folder=folder,
        lists_are_sound=_sound(plan),
    )
    ended = _until_done(plan, host, caller, report)
    report.faults.update(kind for request in host.requests for kind in request.faults)
    report.requests = len(host.requests)
    if ended.outcome is None:
        report.failures.append(f"lost: after {GIVEN_UP_AFTER} attempts the script has no model; the last: {ended.how}")
    else:
        _check(ended.outcome, host, caller, report)
    _check_secrets(plan, folder, report)


def _until_done(plan: Plan, host: HostSimulator, caller: Caller, report: Report) -> Ended:
    random = Random(f"attempts {plan.seed}")
    ended = Ended("never run", "")

    def operator(notice: Notice) -> None:
        if isinstance(notice, Stuck):
            _let_go_on(host)

    for number in range(GIVEN_UP_AFTER):
        if number == CALM_AFTER:
            host.faults.clear()
            _let_go_on(host)
        place = plan.deaths[number] if number < len(plan.deaths) else None
        if plan.by_signal:
            _let_go_on(host)
            after = random.uniform(0.0, 2.0) if place is not None and random.random() < 0.3 else None
            ended = in_a_process_of_its_own(caller, place if after is None else None, kill_after_seconds=after)
        else:
            ended = in_this_process(caller, place, operator)
        report.attempts[ended.how] += 1
        report.said += f"--- attempt {number + 1}: {ended.how}\n{ended.said}"
        if ended.how.startswith(("foreign", "hangs")):
            report.failures.append(f"an attempt ends as: {ended.how}")
        if ended.how == "done":
            break
        if ended.how != "killed" and not plan.by_signal:
            clock().sleep(PAUSE_SECONDS)
    return ended


def _sound(plan: Plan) -> bool:
    return all(fault.kind not in ("repeat_items", "shuffle_items") for fault in plan.faults)


def _let_go_on(host: HostSimulator) -> None:
    for job in host._book.all():
        job.held_at = None


def _check(outcome: script.Outcome, host: HostSimulator, caller: Caller, report: Report) -> None:
    jobs = [(str(job["id"]), str(job["status"])) for job in host.jobs]
    cancelled = [job_id for job_id, status in jobs if status == "cancelled"]
    report.twins = len(cancelled)
    if [job for job in jobs if job[0] not in cancelled] != [(outcome.job_id, "succeeded")]:
        report.failures.append(f"doubled: the host has {jobs}, the script has {outcome.job_id}")
    if cancelled:
        report.failures.append(f"doubled, and mended: {cancelled} were started and cancelled")
    if not outcome.model or outcome.steps == 0:
        report.failures.append(f"lost: the script has no model or no results: {outcome}")
    there = [event.id for event in host._book.get(outcome.job_id).events]
    seen = (caller.folder / "seen").read_text().split() if (caller.folder / "seen").exists() else []
    report.events = len(seen)
    in_order = seen == there if caller.lists_are_sound else sorted(seen) == sorted(there)
    if host.flavour.has_events and not in_order:
        missed, repeated = sorted(set(there) - set(seen)), len(seen) - len(set(seen))
        report.failures.append(f"events: {len(missed)} missed, {repeated} repeated, of {len(there)}; or out of order")
    sent = [str(file["filename"]) for file in host.files if file["purpose"] == "fine-tune"]
    if len(sent) != 2:
        report.failures.append(f"uploads: {sent} are at the host")
    started = [(one.job_id, one.status) for one in Ledger().intents.all() if one.state == "started"]
    if started != [(outcome.job_id, "succeeded")]:
        report.failures.append(f"ledger: it knows {started}, and the job is {outcome.job_id}")
    if [one.state for one in Ledger().intents.all() if one.state not in ("started", "void")]:
        report.failures.append("ledger: something is open that has been resolved")


def _check_secrets(plan: Plan, folder: Path, report: Report) -> None:
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    text = report.said.encode(errors="backslashreplace") + kept
    secret = plan.key.removeprefix("sk-proj-").encode()
    windows = (secret[start : start + SECRET_CHARACTERS] for start in range(len(secret) - SECRET_CHARACTERS + 1))
    if any(window in text for window in windows):
        report.failures.append("secret: a part of the key was said or kept")
    orjson.dumps(report.said)  # which takes text only


class Overdue(BaseException):
    """A run hangs; no attempt catches it."""


@contextmanager
def _limited(report: Report) -> Generator[None]:
    """A run that hangs is a failure, not the end of all runs."""

    def overdue(*_: object) -> None:
        raise Overdue(f"the run has not ended in {RUN_SECONDS} s")

    before = signal.signal(signal.SIGALRM, overdue)
    signal.alarm(RUN_SECONDS)
    try:
        yield
    except Overdue as error:
        report.failures.append(f"hangs: {error}")
        report.said += traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _fast_folder() -> str | None:
    """Most runs ask the disk to settle dozens of times, which tells nothing about the code."""
    return "/dev/shm" if Path("/dev/shm").is_dir() and os.access("/dev/shm", os.W_OK) else None
