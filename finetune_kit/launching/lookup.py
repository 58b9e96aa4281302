"""Whether a job came of a question whose answer was lost, asked of the host and never guessed."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat

from finetune_kit._clock import clock
from finetune_kit.backends import Backend, FindsOrders, JobSpec, JobState
from finetune_kit.errors import BackendError, JobNotFoundError
from finetune_kit.launching.locks import alone
from finetune_kit.launching.order import Order
from finetune_kit.launching.patience import Patience
from finetune_kit.ledger import Intent, Ledger, Place

SETTLE_SECONDS = 60.0
"""How long a host may take until a job that it has created stands in its lists."""
_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0)  # the last one again and again

_log = logging.getLogger("finetune_kit")


@dataclass(frozen=True, slots=True)
class LookUp:
    """Looks for the jobs of one account's intents."""

    backend: Backend
    place: Place
    ledger: Ledger
    patience: Patience

    @property
    def keeps_token(self) -> bool:
        """Whether a job can be told from all others; else it is known only by what it was trained on."""
        return self.backend.profile.keeps_metadata

    @contextmanager
    def undisturbed(self, spec: JobSpec) -> Generator[None]:
        """Where jobs are known only by what they are trained on, nobody else may start one of the kind meanwhile."""
        if self.keeps_token:
            yield
            return
        kind = (spec.training_file, spec.validation_file or "", spec.model.model, spec.suffix or "")
        key = ("kind", self.place.host, self.place.account, *kind)
        with alone(self.ledger.locks, *key, what="starting a job on the same files", patience=self.patience):
            yield

    def before(self, spec: JobSpec) -> frozenset[str]:
        """The jobs that could be taken for the one that is about to be started."""
        if self.keeps_token:
            return frozenset()
        return frozenset(job.id for job in self.patience.ask(lambda: self.backend.started(spec)))

    def now(self, intent: Intent, spec: JobSpec) -> list[JobState]:
        """The jobs that have come of an intent, the oldest first."""
        found = self.patience.ask(lambda: self.backend.started(spec))
        if self.keeps_token:
            return found
        known = self.ledger.intents.job_ids(self.place) - {intent.job_id}
        return [job for job in found if job.id not in intent.jobs_before and job.id not in known]

    def ordered(self, mark: str) -> JobState | None:
        """The oldest live job of an order that this machine has no papers about; None where the host cannot tell."""
        backend = self.backend
        if not isinstance(backend, FindsOrders):
            return None
        own = self.ledger.intents.job_ids(self.place)
        found = self.patience.ask(lambda: backend.ordered(mark))
        return next((job for job in found if job.id not in own and job.status != "cancelling"), None)

    def settled(self, intent: Intent, spec: JobSpec, *, since: float | None) -> JobState | None:
        """The job of an intent; None only after so long that it would stand in the host's lists.

        `since` is when the host was asked; None where that was just now.
        """
        for _ in self._moments(since):
            found = self.now(intent, spec)
            if found:
                return self.one(intent, found)
        return None

    def known(self, intent: Intent) -> JobState | None:
        """The job that came of an intent; None where it is gone, not where the host does not know it yet."""
        job_id = intent.job_id or ""
        for _ in self._moments(intent.posted_at):
            with suppress(JobNotFoundError):
                return self.patience.ask(lambda: self.backend.job(job_id))
        return None

    def _moments(self, since: float | None) -> Iterator[None]:
        """When to look, the last time so long after the host was asked that what is not there then is not there."""
        asked = clock().monotonic() - (0.0 if since is None else max(0.0, clock().now() - since))
        settle = SETTLE_SECONDS if self.backend.profile.runs_jobs else 0.0
        for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
            passed = clock().monotonic() - asked  # before the look, so that the last one is late enough
            yield
            if passed >= settle:
                return
            clock().sleep(min(pause, settle - passed))

    def one(self, intent: Intent, found: list[JobState]) -> JobState:
        """The job to keep; twins of it, which a lost answer and a second question can make, are cancelled."""
        kept = next((job for job in found if job.status not in ("failed", "cancelled")), found[0])
        twins = [job for job in found if job.id != kept.id and not job.finished]
        if not self.keeps_token and len(found) > max(1, intent.posts):
            return kept  # more than were asked for: some are not ours to cancel
        for twin in twins:
            try:
                self.patience.ask(lambda job_id=twin.id: self.backend.cancel(job_id))  # type: ignore[misc]
            except BackendError as error:
                _log.warning("%s is a twin of %s and could not be cancelled: %s", twin.id, kept.id, error)
            else:
                _log.warning("%s was a twin of %s, made by a lost answer; it is cancelled.", twin.id, kept.id)
        return kept


def spec_of(order: Order, intent: Intent) -> JobSpec:
    """What the host was asked, or will be."""
    files = (intent.training_file, *([] if intent.validation_file is None else [intent.validation_file]))
    return order.spec(token=intent.token, files=files)
