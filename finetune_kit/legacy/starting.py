"""Jobs behind both of the old names for them: started, looked at, remembered."""

from __future__ import annotations

from dataclasses import replace

from finetune_kit import remembering
from finetune_kit._retry import QUESTIONS
from finetune_kit.backends import Event, JobState
from finetune_kit.job import FineTuneJob
from finetune_kit.legacy.replies import id_of
from finetune_kit.legacy.settings import Connection
from finetune_kit.legacy.training_files import sides_of
from finetune_kit.training import Wanted, train


def start(
    at: Connection,
    *,
    training_file: object,
    validation_file: object,
    model: str,
    suffix: object,
    settings: dict[str, object],
    check_if_files_exist: object = True,
) -> FineTuneJob:
    """Start a job on files as they are; `settings` are those of `Wanted`."""
    sides = sides_of(at, training_file, validation_file, model)
    wanted = Wanted(model=model, suffix=_suffix(suffix), check_if_files_exist=check_if_files_exist, **settings)
    label = wanted.classification_positive_class
    if isinstance(label, str) and sides.template is not None:
        # The founding tool told people to pass it as it stands in the file, such as " yes".
        wanted = replace(wanted, classification_positive_class=sides.template.parse(label))
    job = FineTuneJob(*train(sides, wanted, backend=at.backend))
    at.asked[job.id] = {name: value for name, value in settings.items() if value is not None and value is not False}
    remembering.saw(at.backend, job.state)  # an earlier one of the same may have ended, which is told now
    return job


def attached(at: Connection, given: object) -> FineTuneJob:
    """The job with an id, as it is now."""
    job = FineTuneJob.attach(id_of(given, "id"), at.backend)
    remembering.saw(at.backend, job.state)
    return job


def events_of(at: Connection, job: FineTuneJob) -> list[Event]:
    """The oldest first; only what is new is asked for."""
    known = at.events.setdefault(job.id, {})
    new = job.events(after=next(reversed(known), None))
    known.update((event.id, event) for event in new)
    return list(known.values())


def all_jobs(at: Connection) -> list[JobState]:
    """The newest first."""
    return QUESTIONS.call(at.backend.jobs)


def _suffix(suffix: object) -> object:
    """As the old API made a part of a name of any text."""
    if not isinstance(suffix, str):
        return suffix
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in suffix.lower()) or None
