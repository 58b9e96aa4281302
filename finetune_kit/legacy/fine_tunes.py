"""`FineTune`: jobs as they were started, looked at and stopped in 2023."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Unpack

from finetune_kit.backends import JobState
from finetune_kit.job import FineTuneJob
from finetune_kit.legacy.asking import refuse
from finetune_kit.legacy.asynchronous import in_thread
from finetune_kit.legacy.error import InvalidRequestError, old_names
from finetune_kit.legacy.replies import Reply, id_of, listed
from finetune_kit.legacy.settings import Connection, Transport, connection
from finetune_kit.legacy.shapes import event_reply, job_reply
from finetune_kit.legacy.training_files import sides_of
from finetune_kit.training import Wanted, train

_INSTEAD: dict[str, str] = dict.fromkeys(
    (
        "compute_classification_metrics",
        "classification_n_classes",
        "classification_positive_class",
        "classification_betas",
    ),
    "Leave it out, and measure the model when it is there: finetune_kit.evaluate(model, examples).",
)
_asked: dict[str, dict[str, object]] = {}
"""What the jobs that this process has started were asked to do, by id."""


@old_names()
def _create(
    *,
    training_file: object,
    validation_file: object = None,
    check_if_files_exist: bool = True,  # noqa: ARG001 - what is at the backend already is used again
    model: str | None = None,
    n_epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate_multiplier: float | None = None,
    prompt_loss_weight: float | None = None,
    compute_classification_metrics: bool | None = None,
    classification_n_classes: int | None = None,
    classification_positive_class: str | None = None,
    classification_betas: Sequence[float] | None = None,
    suffix: str | None = None,
    **call: Unpack[Transport],
) -> Reply:
    """Start a job on files as they are; each is a path, or an id that `File.create` gave.

    No second separator or stop sequence is put around what stands in them.
    """
    refuse(
        instead=_INSTEAD,
        compute_classification_metrics=compute_classification_metrics,
        classification_n_classes=classification_n_classes,
        classification_positive_class=classification_positive_class,
        classification_betas=classification_betas,
    )
    at = connection(call)
    settings: dict[str, object] = {
        "n_epochs": 4 if n_epochs is None else n_epochs,
        "batch_size": batch_size,
        "learning_rate_multiplier": learning_rate_multiplier,
        "prompt_loss_weight": prompt_loss_weight,
    }
    name = model or "curie"
    wanted = Wanted(model=name, validators=None, suffix=_suffix(suffix), seed=None, budget=None, **settings)
    job = train(sides_of(at.backend, training_file, validation_file, name), wanted, backend=at.backend)
    _asked[job.id] = settings
    return _told(at, job.state)


def _suffix(suffix: object) -> object:
    """As the old API made a part of a name of any text."""
    if not isinstance(suffix, str) or not suffix:
        return suffix or None
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in suffix.lower())


def _told(at: Connection, state: JobState) -> Reply:
    return job_reply(at, state, _asked.get(state.id), at.backend.events(state.id))


@old_names()
def _retrieve(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """A job now."""
    at = connection(call)
    return _told(at, at.backend.job(id_of(id, "id")))


@old_names()
def _list(**call: Unpack[Transport]) -> Reply:
    """All jobs, the newest last, without their events."""
    at = connection(call)
    return listed([job_reply(at, state, _asked.get(state.id), None) for state in reversed(at.backend.jobs())])


@old_names()
def _cancel(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """Stop a job for good."""
    at = connection(call)
    return _told(at, FineTuneJob.attach(id_of(id, "id"), at.backend).cancel().state)


@old_names()
def _list_events(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """What has happened to a job, the oldest first."""
    return listed([event_reply(event) for event in connection(call).backend.events(id_of(id, "id"))])


def _stream_events(id: object, **call: Unpack[Transport]) -> Iterator[Reply]:  # noqa: A002 - its name
    """Every event once, those to come included, until the job has ended."""
    with old_names():
        for event in FineTuneJob.attach(id_of(id, "id"), connection(call).backend).follow():
            yield event_reply(event)


@old_names()
def _delete(sid: object, **call: Unpack[Transport]) -> Reply:  # noqa: ARG001 - its names
    """Refused: no backend deletes models."""
    raise InvalidRequestError(
        "models cannot be deleted from here. At a host, delete them in its console; the engine on this machine keeps "
        "its models under the home folder.",
        param="sid",
    )


class FineTune:
    """Fine-tuning jobs."""

    create, acreate = staticmethod(_create), staticmethod(in_thread(_create))
    retrieve, aretrieve = staticmethod(_retrieve), staticmethod(in_thread(_retrieve))
    list, alist = staticmethod(_list), staticmethod(in_thread(_list))
    cancel, acancel = staticmethod(_cancel), staticmethod(in_thread(_cancel))
    list_events, alist_events = staticmethod(_list_events), staticmethod(in_thread(_list_events))
    stream_events = staticmethod(_stream_events)
    delete, adelete = staticmethod(_delete), staticmethod(in_thread(_delete))
