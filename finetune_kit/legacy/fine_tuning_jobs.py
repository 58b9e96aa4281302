"""`FineTuningJob`: the second API of 2023, which openai 0.28 had beside the first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Unpack

from finetune_kit._arguments import whole_number
from finetune_kit._quoting import shown
from finetune_kit.backends import Event, JobState
from finetune_kit.legacy.asynchronous import in_thread
from finetune_kit.legacy.calling import old_call
from finetune_kit.legacy.error import InvalidRequestError
from finetune_kit.legacy.replies import Reply, listed
from finetune_kit.legacy.settings import Connection, Transport, assigned, connection
from finetune_kit.legacy.shapes import hyperparameters, seconds
from finetune_kit.legacy.starting import all_jobs, attached, events_of, start

_KNOWN = ("n_epochs", "batch_size", "learning_rate_multiplier")
_PAGE = 20


@old_call("FineTuningJob.create")
def _create(
    *,
    training_file: object,
    model: str,
    validation_file: object = None,
    hyperparameters: Mapping[str, object] | None = None,
    suffix: str | None = None,
    **call: Unpack[Transport],
) -> Reply:
    """Start a job on files as they are; each is a path, or an id that `File.create` gave."""
    # Most people run no type checker.
    if not isinstance(hyperparameters, Mapping | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidRequestError(
            f"hyperparameters={shown(hyperparameters)}: give a dict of {', '.join(_KNOWN)}.", param="hyperparameters"
        )
    given = {name: value for name, value in (hyperparameters or {}).items() if value not in (None, "auto")}
    unknown = [name for name in given if name not in _KNOWN]
    if unknown:
        raise InvalidRequestError(
            f"hyperparameters={unknown}: there are {', '.join(_KNOWN)}. Leave the others out.", param="hyperparameters"
        )
    at = connection(call)
    job = start(
        at,
        training_file=training_file,
        validation_file=validation_file,
        model=model,
        suffix=suffix,
        settings={"n_epochs": 4, **given},
    )
    return _reply(at, job.state)


def _reply(at: Connection, state: JobState) -> Reply:
    fault = state.fault
    taken = hyperparameters(at, state)
    return Reply(
        object="fine_tuning.job",
        id=state.id,
        model=state.model,
        created_at=seconds(state.created_at),
        finished_at=None if state.finished_at is None else seconds(state.finished_at),
        fine_tuned_model=state.fine_tuned_model,
        organization_id=assigned("organization") or at.backend.profile.name,
        result_files=list(state.result_files),
        status=state.status,
        training_file=state.training_file,
        validation_file=state.validation_file,
        hyperparameters={name: taken[name] for name in _KNOWN},
        trained_tokens=state.trained_tokens,
        error=None if fault is None else {"code": fault.code, "message": fault.message, "param": None},
    )


@old_call("FineTuningJob.retrieve")
def _retrieve(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """A job now."""
    at = connection(call)
    return _reply(at, attached(at, id).state)


@old_call("FineTuningJob.list")
def _list(
    limit: int | None = None,
    starting_after: str | None = None,
    *,
    after: str | None = None,
    **call: Unpack[Transport],
) -> Reply:
    """Jobs, the newest first: a page of 20 unless told otherwise, from behind the job with an id on."""
    at = connection(call)
    page, more = _page([_reply(at, state) for state in all_jobs(at)], limit, after or starting_after)
    return listed(page, has_more=more)


@old_call("FineTuningJob.auto_paging_iter")
def _auto_paging_iter(
    *,
    limit: int | None = None,  # noqa: ARG001 - of each question to the host then; all jobs came all the same
    **call: Unpack[Transport],
) -> Iterator[Reply]:
    """All jobs, the newest first."""
    at = connection(call)
    return iter([_reply(at, state) for state in all_jobs(at)])


@old_call("FineTuningJob.cancel")
def _cancel(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """Stop a job for good."""
    at = connection(call)
    return _reply(at, attached(at, id).cancel().state)


@old_call("FineTuningJob.list_events")
def _list_events(
    id: object,  # noqa: A002 - its name
    limit: int | None = None,
    after: str | None = None,
    *,
    starting_after: str | None = None,
    **call: Unpack[Transport],
) -> Reply:
    """What has happened to a job, the newest first: a page of 20 unless told otherwise."""
    at = connection(call)
    events = events_of(at, attached(at, id))
    page, more = _page([_event(event) for event in reversed(events)], limit, after or starting_after)
    return listed(page, has_more=more)


def _event(event: Event) -> Reply:
    return Reply(
        object="fine_tuning.job.event",
        id=event.id,
        created_at=seconds(event.created_at),
        level=event.level,
        message=event.message,
        data=dict(event.data) or None,
        type=event.type,
    )


def _page(entries: list[Reply], limit: int | None, after: str | None) -> tuple[list[Reply], bool]:
    size = _PAGE if limit is None else whole_number("limit", limit, 1)
    begin = 0 if after is None else next((place for place, one in enumerate(entries, 1) if one.id == after), None)
    if begin is None:
        raise InvalidRequestError(f"after={shown(after)} is not in the list. Pass the id of an entry.", param="after")
    return entries[begin : begin + size], len(entries) > begin + size


class FineTuningJob:
    """Fine-tuning jobs, as later in 2023."""

    create, acreate = staticmethod(_create), staticmethod(in_thread(_create))
    retrieve, aretrieve = staticmethod(_retrieve), staticmethod(in_thread(_retrieve))
    list, alist = staticmethod(_list), staticmethod(in_thread(_list))
    cancel, acancel = staticmethod(_cancel), staticmethod(in_thread(_cancel))
    auto_paging_iter = staticmethod(_auto_paging_iter)
    list_events, alist_events = staticmethod(_list_events), staticmethod(in_thread(_list_events))
