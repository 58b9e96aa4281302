"""`Migration`: a job's data trained again elsewhere, once, and the new model beside the old one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from finetune_kit._arguments import number
from finetune_kit._retry import QUESTIONS
from finetune_kit.archiving import (
    MOST_PROMPTS,
    Answers,
    Archive,
    Data,
    JobFacts,
    Questions,
    answers_of,
    held,
    read_data,
)
from finetune_kit.backends import Backend, JobState
from finetune_kit.cards import ModelCard
from finetune_kit.errors import FormatError, JobFailedError, JobNotFinishedError, ParameterError, UnknownModelError
from finetune_kit.launching import Patience
from finetune_kit.migrating.carried import Given, carried
from finetune_kit.migrating.comparison import MARGIN, Compared, Comparison
from finetune_kit.migrating.records import Records
from finetune_kit.sides import Side, Sides
from finetune_kit.templates import PromptTemplate
from finetune_kit.training import train

_log = logging.getLogger("finetune_kit")


class Run(Protocol):
    """What a migration needs of a job."""

    @property
    def id(self) -> str:
        """The backend's name for it."""
        ...

    @property
    def state(self) -> JobState:
        """As it was last seen."""
        ...

    def refresh(self) -> Run:
        """Ask the backend, unless it has ended."""
        ...


J = TypeVar("J", bound=Run)


@dataclass(frozen=True, slots=True)
class Migration(Generic[J]):
    """An old job, and the new one that was trained on its data."""

    archive: Archive
    """The old one's."""
    job: J
    """The new one."""
    backend: Backend = field(repr=False)
    """Where it runs."""
    notes: tuple[str, ...] = ()
    """What is otherwise than in the old job, and why."""
    started_before: bool = False
    """Whether an earlier call had started it, so that nothing new was started now."""

    def compare(self, *, most: int = MOST_PROMPTS, margin: float = MARGIN, deployment: str | None = None) -> Comparison:
        """Ask the new model what the old one was asked, and count the answers that are the same.

        The questions are those whose answers are in the archive, else up to `most` of the validation examples; each is
        one short call. Within `margin` of the old one's share of right answers, the new model counts as good as it.
        On Azure a model answers only by the name of its `deployment`.

        Raises `JobNotFinishedError` before the new job has ended.
        """
        number("margin", margin, 0, 1)
        model = self._model()
        card = QUESTIONS.call(lambda: self.backend.card(model))
        old = self.archive.manifest.fine_tuned_model or self.archive.job_id
        data = data_of(self.archive)
        if data.validation is None:
            return Comparison(old, model, (), margin=margin)
        kept = _answers(self.archive)
        validation = self.archive.manifest.file("validation")
        if kept is not None and validation is not None and not kept.of_file(validation.sha256):
            kept = None  # another validation file has taken the place of the one that the old model was asked from
        asked = Questions.of(data.validation.rows, most)
        if kept is not None:
            asked = Questions.at(data.validation.rows, [one.row for one in kept.answers])
        if not asked.asked:
            return Comparison(old, model, (), wordless=asked.wordless, margin=margin)
        new = QUESTIONS.call(lambda: answers_of(self.backend, deployment or model, asked, card.template))
        before = {} if kept is None else {one.row: one.answer for one in kept.answers}
        return Comparison(
            old,
            model,
            tuple(Compared(one.row, one.reference, before.get(one.row), one.answer) for one in new.answers),
            wordless=asked.wordless if kept is None else kept.wordless,
            margin=margin,
        )

    def _model(self) -> str:
        state = self.job.refresh().state
        if not state.finished:
            raise JobNotFinishedError(
                f"{state.id} is {state.status!r} and has no model to compare yet: migration.job.wait() first.",
                job_id=state.id,
            )
        if state.fine_tuned_model is None:
            why = state.fault.message if state.fault is not None else f"it ended as {state.status!r}"
            raise JobFailedError(f"{state.id} has no model to compare: {why}", job_id=state.id)
        return state.fine_tuned_model

    def __str__(self) -> str:
        manifest, state = self.archive.manifest, self.job.state
        where, how = self.backend.profile.name, " (started before)" if self.started_before else ""
        head = f"{manifest.job_id} on {manifest.host!r} is {state.id} on {where!r}: {state.status}{how}"
        return "\n".join([head, *(f"  {note}" for note in self.notes)])


def move(archive: Archive, to: Backend, given: Given, *, make: Callable[[JobState, Backend], J]) -> Migration[J]:
    """Train an archived job's data on another backend; `finetune_kit.migrate` is its public name."""
    _check_sound(archive)
    data = data_of(archive)
    if data.training is None:
        raise _no_training(archive)
    card = archive.card
    model = _model(given.model, card, archive, to)
    settings = carried(JobFacts.of(archive), card, data, given, model=model, profile=to.profile)
    records = Records(archive, to, settings.wanted)
    with held(archive.folder, ".migrating.lock", what="migrating", patience=Patience()):
        state = records.found()
        before = state is not None
        if state is None:
            state, _ = train(_sides(data.training, data), records.marked(settings.wanted), backend=to)
        else:
            _log.warning("%s was started for this migration before. It is taken, and nothing new is started.", state.id)
        records.keep(state.id)
    notes = (*_form_notes(data), *settings.notes, *_answer_notes(archive))
    for note in notes:
        _log.info("%s", note)
    return Migration(archive, make(state, to), to, notes, before)


def _check_sound(archive: Archive) -> None:
    """Nobody is to train on what a failing disk has made of the data."""
    damage = next(iter(archive.verify()), None)
    if damage is not None:
        path = archive.folder / damage.name
        raise FormatError(
            f"{path} is {damage.what}, by the sha256 in its manifest. Archive the job anew while its host lives; what "
            "was changed on purpose is trained on by Dataset.from_file(path).",
            path=path,
        )


def data_of(archive: Archive) -> Data:
    """The examples in an archive, without the marks that stood around them."""
    return read_data(archive.path("training"), archive.path("validation"), archive.card)


def _sides(training: Side, data: Data) -> Sides:
    held_out = () if data.validation is None else (data.validation,)
    return Sides(training, held_out, template=_complete(data.template))


def _complete(template: PromptTemplate | None) -> PromptTemplate | None:
    """Half a template is no good: without a stop sequence, no model knows where to end."""
    return template if template is not None and template.separator and template.stop else None


def _form_notes(data: Data) -> tuple[str, ...]:
    if data.template is None or _complete(data.template) is not None:
        return ()
    told = "not all rows of the old training file had a separator and a stop sequence: a template is chosen anew."
    return (told,)


def _answer_notes(archive: Archive) -> tuple[str, ...]:
    """Why there will be nothing to compare with, while there may be time to change that."""
    missing = next((one for one in archive.not_archived if one.part == "answers" and one.why != "none"), None)
    if missing is None:
        return ()
    return (f"the old model's answers are not in the archive, so that nothing tells how good it was: {missing.reason}",)


def _model(given: str | None, card: ModelCard | None, archive: Archive, to: Backend) -> str:
    """What to train: the caller's choice, else what the old job was asked for, where the new host has that."""
    if given is not None:
        return given
    names = dict.fromkeys(filter(None, (card.requested_model, card.base) if card is not None else ()))
    names[archive.manifest.model] = None
    error: UnknownModelError | None = None
    for name in names:
        try:
            to.resolve(name)
        except UnknownModelError as unknown:
            error = unknown
        else:
            return name
    raise ParameterError(
        f"{to.profile.name!r} has no model of the old one's name. Choose one: model=. {error}", parameter="model"
    )


def _answers(archive: Archive) -> Answers | None:
    path = archive.path("answers")
    return None if path is None else Answers.read(path)


def _no_training(archive: Archive) -> ParameterError:
    why = next((one.reason for one in archive.not_archived if one.part == "training"), "")
    return ParameterError(
        f"there is no training file in {archive.folder}: {why or 'it was not archived'}. Pass your own: training=path.",
        parameter="training",
    )
