"""What happens to a job's files while it is `validating_files`."""

from __future__ import annotations

from finetune_kit.testing.simulator.blob import Content
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.examples import BadFile, Kinds, read_examples
from finetune_kit.testing.simulator.job import Job
from finetune_kit.testing.simulator.training import Lesson


def validate(job: Job, desk: Desk, *, at: float) -> Lesson | None:
    """The examples of a job, or None, and the job has failed."""
    order = job.order
    kinds = _kinds(job, desk)
    try:
        training = _content(desk, order.training_file, param="training_file", at=at)
        kind = read_examples(training, desk.flavour, param="training_file", kinds=kinds)
        validation = None
        if order.validation_file is not None:
            validation = _content(desk, order.validation_file, param="validation_file", at=at)
            read_examples(validation, desk.flavour, param="validation_file", kinds=(kind,))
    except BadFile as bad:
        job.fail(bad.code, bad.message, param=bad.param, at=at)
        return None
    return Lesson(training, validation, kind)


def _kinds(job: Job, desk: Desk) -> Kinds:
    known = desk.models.kinds(job.base)
    wanted: Kinds = ("preference",) if job.order.method == "dpo" else ("chat", "completion")
    return tuple(kind for kind in wanted if not known or kind in known) or wanted


def _content(desk: Desk, file_id: str, *, param: str, at: float) -> Content:
    file = desk.files.find(file_id, at)
    if file is None:
        raise BadFile("file_not_found", f"The file {file_id} was deleted before it was read.", param=param)
    return file.content
