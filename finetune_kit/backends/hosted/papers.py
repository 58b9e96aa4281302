"""Cards of models on hosts that keep none: kept on this machine, completed by what the host tells of the job."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import cast, get_args

from finetune_kit.backends.hosted.answering import Answers
from finetune_kit.backends.hosted.asking import JsonObject
from finetune_kit.backends.hosted.calls import Call
from finetune_kit.backends.hosted.creation import TEMPLATE, TOKEN
from finetune_kit.backends.hosted.jobs import Jobs
from finetune_kit.backends.hosted.names import base_of, final_model, resolve
from finetune_kit.backends.hosted.objects import decided_hyperparameters, method_of, read_job
from finetune_kit.backends.hosted.objects.values import Members, items, members, text
from finetune_kit.backends.protocol import ChatMessages, JobSpec, JobState, Sampling
from finetune_kit.cards import DataFingerprint, Hyperparameters, ModelCard
from finetune_kit.errors import JobNotFoundError, StorageError, UnknownModelError
from finetune_kit.hosts import HostProfile, Resolved
from finetune_kit.ledger import Cards, Place
from finetune_kit.records import JsonValue, Kind
from finetune_kit.templates import PromptTemplate

_AZURE_JOB = re.compile(r"\.ft-([0-9a-f]{32})")


@dataclass(frozen=True, slots=True)
class Papers:
    """The cards of one account's models."""

    cards: Callable[[], Cards]
    place: Callable[[], Place]
    jobs: Jobs
    profile: HostProfile

    def keep(self, spec: JobSpec, files: Mapping[str, DataFingerprint]) -> None:
        """Remember a card before its job is asked for, with what is known of its files."""
        card = spec.card
        training, validation = files.get(spec.training_file), files.get(spec.validation_file or "")
        known = {"training": card.training or training, "validation": card.validation or validation}
        self.cards().keep(self.place(), card.model_copy(update=known), token=spec.token)

    def began(self, spec: JobSpec, job_id: str) -> None:
        """Remember which job it was."""
        self.cards().began(token=spec.token, job_id=job_id)

    def of(self, model: str, answers: Answers) -> ModelCard:
        """The card of any model there, or `UnknownModelError`."""
        profile = self.profile
        if profile.knows(model):
            return self.of_base(profile.resolve(model))
        if base_of(model, profile) is not None:
            try:
                return self._of_tuned(model)
            except UnknownModelError:  # on some hosts the name of a deployment looks like a model's
                if not (profile.needs_deployment and profile.any_model):
                    raise
        if profile.needs_deployment:
            return self._of_deployment(model, answers)
        resolved = resolve(model, profile)
        try:
            return self._of_tuned(model)
        except UnknownModelError:  # the host takes any name, and this may be a base of its own
            return self.of_base(resolved)

    def _of_deployment(self, name: str, answers: Answers) -> ModelCard:
        """Known by asking it for one token: the answer names the model."""
        question: ChatMessages = [{"role": "user", "content": "Hi"}]
        served = text(answers.one(Call(name, Sampling(max_tokens=1), messages=question)).get("model"))
        if served is None or served == name or not (self.profile.knows(served) or base_of(served, self.profile)):
            card = self.of_base(Resolved(requested=name, model=name))
        else:
            card = self.of(served, answers)
        return card.model_copy(update={"name": name})

    def _of_tuned(self, model: str) -> ModelCard:
        """The card of a fine-tuned model or of a checkpoint."""
        name = final_model(model)
        kept = self._kept(lambda: self.cards().of_model(self.place(), name))
        if kept is None or not kept.job_id:
            kept = self._completed(name, model)
        return kept if kept.name == model else kept.model_copy(update={"name": model})

    def of_job(self, job_id: str) -> ModelCard | None:
        """The card that a job was started with, where this machine knows."""
        return self._kept(lambda: self.cards().of_job(self.place(), job_id))

    def _kept(self, read: Callable[[], ModelCard | None]) -> ModelCard | None:
        """A card from this machine; where its home folder cannot be used, a model can be called all the same."""
        try:
            return read()
        except StorageError:
            return None

    def of_base(self, resolved: Resolved) -> ModelCard:
        """The card of a base model."""
        return ModelCard(
            name=resolved.model,
            base=resolved.model,
            requested_model=resolved.requested,
            backend=self.profile.name,
            kind=self._learns(resolved.model),
        )

    def _learns(self, base: str) -> Kind:
        """What a base model learns from, where nobody says what it has learned from."""
        return "completion" if self.profile.kinds_of(base) == ("completion",) else "chat"

    def _completed(self, name: str, asked: str) -> ModelCard:
        """Found by its job at the host, filled in, and kept for the next time."""
        job = self._job_of(name, asked)
        token, card = self._filled(job, read_job(job, self.profile))
        card = card.model_copy(update={"name": name})
        with suppress(StorageError):
            self.cards().keep(self.place(), card, token=token)
            self.cards().began(token=token, job_id=card.job_id)
            self.cards().named(self.place(), job_id=card.job_id, model=name)
        return card

    def of_told(self, job: JsonObject) -> ModelCard:
        """The card of a job's model, or of the one that would have come of it; nothing is kept."""
        return self._filled(job, read_job(job, self.profile))[1]

    def _filled(self, job: JsonObject, state: JobState) -> tuple[str, ModelCard]:
        """What is known of a job here or by its metadata, filled in with what the host tells."""
        place = self.place()
        token = state.metadata.get(TOKEN) or f"job:{place.host}:{place.account}:{state.id}"
        kept = self._kept(lambda: self.cards().of_token(token)) or self.of_job(state.id) or self.rebuilt(state)
        chosen = kept.hyperparameters.model_dump() | decided_hyperparameters(job)
        update = {
            "name": state.fine_tuned_model or "",
            "job_id": state.id,
            "created_at": state.finished_at or state.created_at,
            "backend": self.profile.name,
            "method": method_of(job) or kept.method,
            "hyperparameters": Hyperparameters.model_validate(chosen),
        }
        return token, kept.model_copy(update=update)

    def rebuilt(self, state: JobState) -> ModelCard:
        """From the job's metadata, where another machine has put the template; else what its base suggests."""
        told = _told(state.metadata.get(TEMPLATE, ""))
        base = base_of(state.model, self.profile) or state.model
        kind = text(told.get("kind"))
        template = items(told.get("template"))
        match template:
            case [str(separator), str(stop), bool(leading_space)]:
                known: PromptTemplate | None = PromptTemplate(
                    separator=separator, stop=stop, leading_space=leading_space
                )
            case _:
                known = None
        return ModelCard(
            base=base,
            requested_model=text(told.get("requested")) or base,
            backend=self.profile.name,
            kind=_kind(kind) or self._learns(base),
            template=known,
            labels=tuple(label for label in items(told.get("labels")) if isinstance(label, str)),
        )

    def _job_of(self, name: str, asked: str) -> JsonObject:
        known = self._known_job_of(name)
        if known is not None:
            try:
                return self.jobs.get(known)
            except JobNotFoundError:
                pass
        listed = [members(job) for job in self.jobs.all()]
        for job in listed:
            if text(job.get("fine_tuned_model")) == name:
                return dict(job)
        if name != asked:
            for job in listed:  # the checkpoint's name may hold another id than the final model's
                if self._is_checkpoint_of(job, asked):
                    return dict(job)
        raise self.profile.unknown(asked)

    def _known_job_of(self, name: str) -> str | None:
        """A model's job by its name or by what this machine has seen, so that the account's jobs need not be listed."""
        match = _AZURE_JOB.search(name)
        if match is not None:
            return f"ftjob-{match[1]}"
        try:
            return self.cards().job_of_model(self.place(), name)
        except StorageError:
            return None

    def _is_checkpoint_of(self, job: Members, asked: str) -> bool:
        state = read_job(dict(job), self.profile)
        alike = base_of(asked, self.profile) in {state.model, base_of(state.model, self.profile)}
        return alike and any(one.name == asked for one in self.jobs.checkpoints(state.id))


def _told(line: str) -> Members:
    try:
        return members(cast("JsonValue", json.loads(line)))
    except (ValueError, RecursionError):
        return {}


def _kind(word: str | None) -> Kind | None:
    return cast("Kind", word) if word in get_args(Kind) else None
