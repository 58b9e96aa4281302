"""`FineTune`: jobs as they were started, looked at and stopped in 2023."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Unpack

from finetune_kit.job import FineTuneJob
from finetune_kit.legacy.asynchronous import Stream, in_thread
from finetune_kit.legacy.calling import old_call
from finetune_kit.legacy.error import InvalidRequestError, old_names
from finetune_kit.legacy.replies import Reply, listed
from finetune_kit.legacy.settings import Connection, Transport, connection
from finetune_kit.legacy.shapes import event_reply, job_reply
from finetune_kit.legacy.starting import all_jobs, attached, events_of, start


@old_call("FineTune.create")
def _create(
    *,
    training_file: object,
    validation_file: object = None,
    check_if_files_exist: bool = True,
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
    at = connection(call)
    job = start(
        at,
        training_file=training_file,
        validation_file=validation_file,
        model=model or "curie",
        suffix=suffix,
        check_if_files_exist=check_if_files_exist,
        settings={
            "n_epochs": 4 if n_epochs is None else n_epochs,
            "batch_size": batch_size,
            "learning_rate_multiplier": learning_rate_multiplier,
            "prompt_loss_weight": prompt_loss_weight,
            "compute_classification_metrics": bool(compute_classification_metrics),
            "classification_n_classes": classification_n_classes,
            "classification_positive_class": classification_positive_class,
            "classification_betas": classification_betas,
        },
    )
    return _told(at, job)


def _told(at: Connection, job: FineTuneJob) -> Reply:
    return job_reply(at, job.state, events_of(at, job))


@old_call("FineTune.retrieve")
def _retrieve(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """A job now."""
    at = connection(call)
    return _told(at, attached(at, id))


@old_call("FineTune.list")
def _list(**call: Unpack[Transport]) -> Reply:
    """All jobs, the newest last, without their events."""
    at = connection(call)
    return listed([job_reply(at, one, None) for one in reversed(all_jobs(at))])


@old_call("FineTune.cancel")
def _cancel(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """Stop a job for good."""
    at = connection(call)
    return _told(at, attached(at, id).cancel())


@old_call("FineTune.list_events")
def _list_events(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """What has happened to a job, the oldest first."""
    at = connection(call)
    return listed([event_reply(event) for event in events_of(at, attached(at, id))])


@old_call("FineTune.stream_events")
def _stream_events(id: object, **call: Unpack[Transport]) -> Iterator[Reply]:  # noqa: A002 - its name
    """Every event once, those to come included, until the job has ended."""
    return _followed(attached(connection(call), id))


def _followed(job: FineTuneJob) -> Iterator[Reply]:
    with old_names():
        for event in job.follow():
            yield event_reply(event)


@old_call("FineTune.astream_events")
def _astream_events(id: object, **call: Unpack[Transport]) -> Stream[Reply]:  # noqa: A002 - its name
    """The same for `async for`."""
    return Stream(_followed_async(connection(call), id))


async def _followed_async(at: Connection, id: object) -> AsyncIterator[Reply]:  # noqa: A002 - its name
    with old_names():
        job = await asyncio.to_thread(attached, at, id)
        async for event in job.follow_async():
            yield event_reply(event)


@old_call("FineTune.delete")
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
    stream_events, astream_events = staticmethod(_stream_events), staticmethod(_astream_events)
    delete, adelete = staticmethod(_delete), staticmethod(in_thread(_delete))
