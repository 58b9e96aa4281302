"""`launch`: the policy of starting a job: what this machine has begun before is looked for first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from uuid import uuid4

from finetune_kit.backends import Backend, JobState
from finetune_kit.launching.files import Files
from finetune_kit.launching.locks import alone
from finetune_kit.launching.lookup import LookUp, spec_of
from finetune_kit.launching.order import Order
from finetune_kit.launching.patience import PATIENCE_SECONDS, Patience, nothing_started
from finetune_kit.launching.starting import Starter
from finetune_kit.ledger import Intent, Ledger
from finetune_kit.remembering import place_of, settle_ends

_log = logging.getLogger("finetune_kit")


def launch(
    order: Order,
    backend: Backend,
    *,
    patience_seconds: float = PATIENCE_SECONDS,
    on_progress: Callable[[int], None] | None = None,
) -> JobState:
    """Have the files at the host and the job started, once, and return without waiting for its end.

    The same order, given while an earlier job of it is live or before anybody on this machine has made use of its end,
    returns that job, and so does one whose earlier launch was killed or lost the answer. Where the host keeps metadata,
    so does one that was given with another key of the account or on another machine, while its job is live.
    `on_progress` is told how many bytes of the file that is being sent have gone.

    Raises what keeps the job from being started; where `.retryable` is true, the same call may succeed later.
    """
    patience = Patience(patience_seconds)
    place = place_of(backend)
    if place is None:
        files = Files(backend, patience, remembered=None, on_progress=on_progress)
        return backend.start(order.spec(token=uuid4().hex, files=_stored(order, backend, files, patience)))
    with ExitStack() as stack:
        with nothing_started():
            settle_ends()
            ledger, fingerprint = Ledger(), order.fingerprint(place)
            lock = alone(ledger.locks, "launch", fingerprint, what="starting the same training", patience=patience)
            stack.enter_context(lock)
            look = LookUp(backend=backend, place=place, ledger=ledger, patience=patience)
            starter = Starter(order, fingerprint, look)
            found, again = _begun_before(order, fingerprint, look, starter)
            if found is not None:
                return found
            if again is None and (found := _ordered_elsewhere(order, fingerprint, look, starter)) is not None:
                return found
            files = Files(
                backend, patience, remembered=(ledger, place), reuse=order.reuse_files, on_progress=on_progress
            )
            stored = _stored(order, backend, files, patience)
        return starter.start(stored, again=again)


def _stored(order: Order, backend: Backend, files: Files, patience: Patience) -> tuple[str, ...]:
    """Ids of the files at the host; nothing is sent where the job could not be started."""
    patience.ask(lambda: backend.preflight(order.model))
    return tuple(map(files.store, order.files))


def _begun_before(
    order: Order, fingerprint: str, look: LookUp, starter: Starter
) -> tuple[JobState | None, Intent | None]:
    """An earlier job of this order that is to be taken, or else an earlier intent of which nothing came."""
    again: Intent | None = None
    for intent in look.ledger.intents.of_fingerprint(fingerprint):
        if intent.state == "started":
            if intent.end_seen_at is None and (job := _still_wanted(intent, look)) is not None:
                return job, None
        elif intent.state == "waiting":
            again = again or intent
        else:
            spec = spec_of(order, intent)
            with look.undisturbed(spec):
                job = look.settled(intent, spec, since=intent.posted_at)
                if job is None:
                    again = again or intent
                    continue
                starter.record(intent, job)
            _log.warning("%s came of an earlier start whose answer never arrived here; it is taken.", job.id)
            if job.status != "cancelled":
                return job, None
            look.ledger.intents.end_seen(look.place, job.id)
    return None, again


def _ordered_elsewhere(order: Order, fingerprint: str, look: LookUp, starter: Starter) -> JobState | None:
    """A live job of an order that this ledger does not know: it may be a new one, or the key, or another machine."""
    if look.ledger.intents.of_fingerprint(fingerprint):
        return None
    job = look.ordered(order.mark)
    if job is None:
        return None
    _log.warning(
        "%s at the host is the same training and %r; it was started with another key or from elsewhere. It is taken, "
        "and nothing new is started; to train once more, give another seed or suffix, or cancel() it first.",
        job.id,
        job.status,
    )
    return starter.adopt(job)


def _still_wanted(intent: Intent, look: LookUp) -> JobState | None:
    """The job of an earlier launch, unless it is gone or was cancelled."""
    job = look.known(intent)
    if job is None or job.status == "cancelled":
        look.ledger.intents.end_seen(look.place, intent.job_id or "")
        return None
    when = datetime.fromtimestamp(intent.created_at, UTC).astimezone().isoformat(" ", "minutes")
    _log.warning(
        "%s, started here at %s, is the same training and %s. It is taken, and nothing new is started; "
        "to train once more, wait() for its end or cancel() it first.",
        job.id,
        when,
        f"has ended as {job.status!r}, of which no run has made use" if job.finished else f"is {job.status!r}",
    )
    return job
