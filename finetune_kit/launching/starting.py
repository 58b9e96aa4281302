"""The one question that costs money: written down before it is asked, and asked again only when nothing came of it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import uuid4

from finetune_kit._clock import clock
from finetune_kit.backends import JobSpec, JobState
from finetune_kit.errors import (
    BackendError,
    FinetuneKitError,
    HostReplyError,
    HostUnavailableError,
    RateLimitError,
    RequestRefusedError,
    StorageError,
    UnclearOutcomeError,
)
from finetune_kit.launching.lookup import LookUp, spec_of
from finetune_kit.launching.order import Order
from finetune_kit.launching.patience import nothing_started, saying
from finetune_kit.ledger import Intent

_MOST_POSTS = 3
"""How often a host is asked whose answers are lost each time, and where no job is found either."""

_log = logging.getLogger("finetune_kit")


@dataclass(frozen=True, slots=True)
class Starter:
    """Starts one order."""

    order: Order
    fingerprint: str
    look: LookUp

    def start(self, files: tuple[str, ...], *, again: Intent | None) -> JobState:
        """The job, which is new; `again` is an earlier intent of which nothing came."""
        spec = self.order.spec(token=uuid4().hex if again is None else again.token, files=files)
        with self.look.undisturbed(spec):
            with nothing_started():
                if not self.look.keeps_token:
                    self._resolve_others(spec)
                intent = self._intend(spec, again)
            return self._ask(intent, spec)

    def adopt(self, job: JobState) -> JobState:
        """Write down a job of this order that this machine has no papers about, as if it had been started here."""
        files = (job.training_file or "", *([] if job.validation_file is None else [job.validation_file]))
        spec = self.order.spec(token=uuid4().hex, files=files)
        self.look.ledger.cards.keep(self.look.place, spec.card, token=spec.token)
        return self.record(self._intend(spec, None), job)

    def record(self, intent: Intent, job: JobState) -> JobState:
        """Write down which job it is; it runs already, so that a full disk must not hide it."""
        try:
            self.look.ledger.intents.started(intent, job_id=job.id, status=job.status)
        except StorageError as error:
            _log.warning("%s is started, but that could not be written down: %s", job.id, error)
        return job

    def _intend(self, spec: JobSpec, again: Intent | None) -> Intent:
        before = self.look.before(spec)
        intents = self.look.ledger.intents
        if again is not None:
            return intents.on_files(
                again, training_file=spec.training_file, validation_file=spec.validation_file, jobs_before=before
            )
        intent = Intent(
            token=spec.token,
            fingerprint=self.fingerprint,
            place=self.look.place,
            requested_model=spec.model.requested,
            model=spec.model.model,
            method=spec.method,
            suffix=spec.suffix,
            training_file=spec.training_file,
            validation_file=spec.validation_file,
            created_at=clock().now(),
            jobs_before=before,
        )
        intents.add(intent)
        return intent

    def _ask(self, intent: Intent, spec: JobSpec) -> JobState:
        posts = attempt = 0
        while True:
            intent = self._about_to_ask(intent)
            try:
                job = self.look.backend.start(spec)
            except FinetuneKitError as error:
                attempt += 1
                if _is_unclear(error):
                    posts += 1
                    found = self._after_a_lost_answer(intent, spec, error)
                    if found is not None:
                        return found
                    if posts >= _MOST_POSTS or isinstance(error, StorageError):
                        raise _unclear(error) from error
                else:
                    later = _later_may_help(error)
                    intent = self._refused(intent, for_good=not later)
                    if not later:
                        return self._after_a_refusal(intent, spec, error)
                if not isinstance(error, BackendError) or not self.look.patience.wait(attempt, error):
                    raise self._given_up(intent, error) from error
            else:
                self.record(intent, job)
                return job if intent.posts == 1 else self._without_twins(intent, spec, job)

    def _about_to_ask(self, intent: Intent) -> Intent:
        try:
            return self.look.ledger.intents.asking(intent)
        except StorageError as error:
            raise self._given_up(intent, error) from error

    def _refused(self, intent: Intent, *, for_good: bool) -> Intent:
        """If it cannot be written down, the next launch looks for a job in vain, and then starts one."""
        try:
            return self.look.ledger.intents.refused(intent, for_good=for_good)
        except StorageError as error:
            _log.warning("That nothing was started could not be written down: %s", error)
            return intent.after_refusal(for_good=for_good)

    def _after_a_lost_answer(self, intent: Intent, spec: JobSpec, error: FinetuneKitError) -> JobState | None:
        _log.warning("%s Looking whether the job is there before anything is asked again.", error)
        try:
            found = self.look.settled(intent, spec, since=None)
        except BackendError as trouble:
            raise saying(trouble, _UNCLEAR) from error
        if found is None:
            return None
        _log.warning("%s is there: its answer was lost on the way, and it is taken.", found.id)
        return self.record(intent, found)

    def _after_a_refusal(self, intent: Intent, spec: JobSpec, error: FinetuneKitError) -> JobState:
        """Nothing came of the last question; of an earlier one, something may have come after all."""
        if intent.state == "asked":
            try:
                found = self.look.now(intent, spec)
            except BackendError as trouble:
                raise saying(trouble, _UNCLEAR) from error
            if found:
                return self.record(intent, self.look.one(intent, found))
            self.look.ledger.intents.void(intent)
        raise error

    def _without_twins(self, intent: Intent, spec: JobSpec, job: JobState) -> JobState:
        """The host was asked twice; the first question may have been answered late."""
        try:
            found = self.look.now(intent, spec)
        except BackendError as error:
            _log.warning("Whether %s has a twin could not be asked: %s", job.id, error)
            return job
        if not any(one.id == job.id for one in found):
            found = [*found, job]
        kept = self.look.one(intent, found)
        return job if kept.id == job.id else self.record(intent, kept)

    def _given_up(self, intent: Intent, error: FinetuneKitError) -> FinetuneKitError:
        if intent.state == "asked":
            return _unclear(error)
        return saying(error, "Nothing was started; call train() again later.")

    def _resolve_others(self, spec: JobSpec) -> None:
        """Trainings on these files that were asked for and never answered: their jobs must not be taken for ours."""
        for other in self.look.ledger.intents.unresolved(self.look.place):
            theirs = (other.training_file, other.validation_file, other.model, other.suffix)
            if other.token == spec.token or theirs != (
                spec.training_file,
                spec.validation_file,
                spec.model.model,
                spec.suffix,
            ):
                continue
            found = self.look.settled(other, spec_of(self.order, other), since=other.posted_at)
            if found is None:
                self.look.ledger.intents.void(other)
            else:
                self.record(other, found)


_UNCLEAR = (
    "Whether the job was started is not known; nothing is lost: call train() again, and it is looked for before "
    "anything is started."
)


def _unclear(error: FinetuneKitError) -> FinetuneKitError:
    if isinstance(error, UnclearOutcomeError | StorageError):
        return saying(error, _UNCLEAR)
    return UnclearOutcomeError(f"{error} {_UNCLEAR}")


def _is_unclear(error: FinetuneKitError) -> bool:
    if isinstance(error, HostUnavailableError):
        return error.sent
    # A backend may keep papers of its own before it asks, and after it has been answered.
    return isinstance(error, UnclearOutcomeError | HostReplyError | StorageError)


def _later_may_help(error: FinetuneKitError) -> bool:
    """Whether asking later may help."""
    if isinstance(error, RequestRefusedError):
        return error.code == "file_not_ready"
    return isinstance(error, RateLimitError | HostUnavailableError)
