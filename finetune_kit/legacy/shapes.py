"""Jobs, files and events of today in the shapes of 2023."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from finetune_kit.backends import Event, FileState, JobState
from finetune_kit.backends.protocol import TERMINAL
from finetune_kit.errors import BackendError
from finetune_kit.legacy.replies import Reply
from finetune_kit.legacy.settings import Connection, assigned

_WAITING = frozenset({"validating_files", "queued", "paused"})
TRAINING, RESULTS = "fine-tune", "fine-tune-results"
_NAMES = ("n_epochs", "batch_size", "learning_rate_multiplier", "prompt_loss_weight")


def file_reply(state: FileState, purpose: str = TRAINING) -> Reply:
    """A file."""
    return Reply(
        id=state.id,
        object="file",
        bytes=state.size_bytes,
        created_at=seconds(state.created_at),
        filename=state.filename,
        purpose=purpose,
        status=state.status,
        status_details=state.reason or None,
    )


def event_reply(event: Event) -> Reply:
    """Something that happened to a job."""
    return Reply(
        object="fine-tune-event", created_at=seconds(event.created_at), level=event.level, message=event.message
    )


def job_reply(at: Connection, state: JobState, events: Iterable[Event] | None) -> Reply:
    """A job; without its events where they are None, as in a list of jobs."""
    told = None if events is None else [event_reply(event) for event in events]
    at.jobs.update(dict.fromkeys(state.result_files, state.id))
    last = max((event["created_at"] for event in told or ()), default=0)
    files = (None if file_id is None else [file_id] for file_id in (state.training_file, state.validation_file))
    training, validation = ([_file(at, one, TRAINING) for one in ids or ()] for ids in files)
    return Reply(
        id=state.id,
        object="fine-tune",
        model=state.model,
        created_at=seconds(state.created_at),
        updated_at=max(seconds(state.finished_at or state.created_at), last),
        status=old_status(state),
        fine_tuned_model=state.fine_tuned_model,
        hyperparams=hyperparameters(at, state),
        organization_id=assigned("organization") or at.backend.profile.name,
        training_files=training,
        validation_files=validation,
        result_files=[_file(at, one, RESULTS) for one in state.result_files],
        **({} if told is None else {"events": told}),
    )


def old_status(state: JobState) -> str:
    """One of pending, running, succeeded, failed and cancelled."""
    if state.status in TERMINAL:
        return state.status
    return "pending" if state.status in _WAITING else "running"


def hyperparameters(at: Connection, state: JobState) -> dict[str, object]:
    """As they were taken, once the model is there; until then as they were asked for, where this process knows it."""
    taken: dict[str, object] = {**dict.fromkeys(_NAMES), **at.asked.get(state.id, {})}
    if state.fine_tuned_model is not None:
        try:
            card = at.backend.card(state.fine_tuned_model)
        except BackendError:  # started by another program, on a host that keeps no cards
            return taken
        taken.update({name: getattr(card.hyperparameters, name) for name in _NAMES})
        if card.classification is not None:
            measured = card.classification
            taken["compute_classification_metrics"] = True
            taken["classification_n_classes"] = measured.n_classes
            taken["classification_positive_class"] = measured.positive_class
            taken["classification_betas"] = list(measured.betas) or None
    return taken


def _file(at: Connection, file_id: str, purpose: str) -> Reply:
    if file_id in at.files:
        return Reply(at.files[file_id])
    try:
        reply = file_reply(at.backend.file(file_id), purpose)
    except BackendError:  # deleted, or not to be looked at
        return Reply(id=file_id, object="file", purpose=purpose)
    if reply.status == "processed":
        at.files[file_id] = Reply(reply)
    return reply


def seconds(moment: datetime) -> int:
    """As the API tells moments: since 1970."""
    return int(moment.timestamp())
