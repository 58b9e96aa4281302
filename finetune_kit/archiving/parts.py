"""The parts of a job: what each is called in an archive, and how a host is asked for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import cast

from finetune_kit.backends import (
    Backend,
    Checkpoint,
    DetailsJobs,
    Event,
    FileState,
    JobDetails,
    JobState,
    StreamsFiles,
)
from finetune_kit.errors import BackendError, HostReplyError, UnknownFileError
from finetune_kit.records import JsonValue


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a part, which may come while they are read, and what the host calls them."""

    pieces: Iterable[bytes]
    source_name: str = ""
    items: int = 0
    """Of a list, which a host gives in pages."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that belongs to a job."""

    name: str
    filename: str
    """In the archive."""
    fetch: Callable[[], Content]
    source_id: str = ""
    lasting: bool = False
    """Whether it never changes while the job goes on."""
    requests: int = 1
    """How many the host is sent for it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A job as its host tells it."""

    state: JobState
    details: JobDetails | None

    @property
    def model(self) -> str:
        """The base that was trained, where that is known."""
        return self.details.card.base if self.details is not None else self.state.model


def look_up(backend: Backend, job_id: str) -> Found:
    """A job with all that its backend tells."""
    if isinstance(backend, DetailsJobs):
        details = backend.job_details(job_id)
        return Found(details.state, details)
    return Found(backend.job(job_id), None)


def parts_of(backend: Backend, found: Found) -> Iterator[Part]:
    """What can be asked for; the training file first, which is needed most."""
    state = found.state
    for name, file_id in (("training", state.training_file), ("validation", state.validation_file)):
        if file_id is not None:
            yield Part(name, f"{name}.jsonl", _file(backend, file_id), file_id, lasting=True, requests=2)
    for number, file_id in enumerate(state.result_files, 1):
        yield Part(
            f"results-{number}", f"results-{number}.csv", _file(backend, file_id), file_id, lasting=True, requests=2
        )
    yield Part("job", "job.json", lambda: _json(_job(found)), state.id, requests=0)
    if found.details is not None or state.fine_tuned_model is not None:
        yield Part("card", "card.json", lambda: _card(backend, found), requests=0 if found.details is not None else 1)
    yield Part("checkpoints", "checkpoints.json", lambda: _json([_plain(one) for one in backend.checkpoints(state.id)]))
    # The job is asked for as well, for the note which model stands in for the one that was asked for.
    yield Part("events", "events.jsonl", lambda: _lines(backend.events(state.id)), requests=2)


def _file(backend: Backend, file_id: str) -> Callable[[], Content]:
    def fetch() -> Content:
        told = _told(backend, file_id)
        return Content(_counted(backend, file_id, told), "" if told is None else told.filename)

    return fetch


def _counted(backend: Backend, file_id: str, told: FileState | None) -> Iterator[bytes]:
    """The pieces of a file, and an error at the end where they are not as many bytes as the host says."""
    size = 0
    for piece in backend.file_pieces(file_id) if isinstance(backend, StreamsFiles) else [backend.file_content(file_id)]:
        size += len(piece)
        yield piece
    if told is not None and told.size_bytes and told.size_bytes != size:
        raise HostReplyError(f"the host says that {file_id} has {told.size_bytes:,} bytes, and sent {size:,}.")
    if not size:
        raise UnknownFileError(f"the host has emptied {file_id}: it sends no bytes of it.", file_id=file_id)


def _told(backend: Backend, file_id: str) -> FileState | None:
    """What the host says of a file, which it may have no words for although it has the file."""
    try:
        return backend.file(file_id)
    except BackendError:
        return None


def _job(found: Found) -> dict[str, JsonValue]:
    details = found.details
    job: dict[str, JsonValue] = {"state": _plain(found.state)}
    if details is not None:
        job |= {
            "method": details.card.method,
            "hyperparameters": cast("JsonValue", details.card.hyperparameters.model_dump(mode="json")),
            "suffix": details.suffix,
            "seed": details.seed,
            "as_told": dict(details.told),
        }
    return job


def _card(backend: Backend, found: Found) -> Content:
    card = found.details.card if found.details is not None else backend.card(found.state.fine_tuned_model or "")
    return Content([card.model_dump_json(indent=2).encode() + b"\n"])


def _plain(value: JobState | Checkpoint | Event) -> dict[str, JsonValue]:
    """A record as JSON."""
    fields = asdict(value)
    for name, one in fields.items():
        if isinstance(one, datetime):
            fields[name] = one.isoformat()
    return cast("dict[str, JsonValue]", fields)


def _json(value: JsonValue | list[dict[str, JsonValue]]) -> Content:
    return Content([_dumped(value, indent=2) + b"\n"])


def _lines(events: list[Event]) -> Content:
    return Content([_dumped(_plain(event)) + b"\n" for event in events], items=len(events))


def _dumped(value: object, *, indent: int | None = None) -> bytes:
    """As JSON; a host's text may hold half a surrogate pair, which is escaped then."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent, default=str).encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, default=str).encode()
