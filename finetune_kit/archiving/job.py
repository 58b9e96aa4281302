"""One job, brought home: everything the host still has of it, in a folder with a manifest."""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from finetune_kit._arguments import number, string, whole_number
from finetune_kit._quoting import counted
from finetune_kit.archiving.answers import MOST_PROMPTS, Answers, Questions, answers_of
from finetune_kit.archiving.archive import Archive, state_of
from finetune_kit.archiving.data import read_data
from finetune_kit.archiving.folder import NotWrittenError, held, made, tidied
from finetune_kit.archiving.inquiry import Inquiry
from finetune_kit.archiving.manifest import ArchivedFile, Why
from finetune_kit.archiving.parts import Found, Part, look_up, parts_of
from finetune_kit.archiving.writing import Writing
from finetune_kit.backends import Backend
from finetune_kit.errors import (
    AccessError,
    BackendError,
    DataError,
    FormatError,
    JobNotFoundError,
    ModelClosedError,
    ParameterError,
    UnknownFileError,
    UnknownModelError,
)
from finetune_kit.launching import Patience
from finetune_kit.remembering import place_of

USUAL_BUDGET = 1.0
"""US dollars for the answers of one model."""

_LOCK = ".lock"
_PATIENCE_SECONDS = 1800.0
_PIECE_BYTES = 1 << 18
_SUFFIXES = frozenset({".jsonl", ".json", ".csv", ".tsv", ".xlsx", ".txt"})
_GONE = (UnknownFileError, UnknownModelError, JobNotFoundError, ModelClosedError)
_WEIGHTS = "weights are not archived, since most hosts hand out none: migrate() trains anew from the data"

_log = logging.getLogger("finetune_kit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a caller wants besides what the host has of a job itself."""

    training: Path | None = None
    """Takes the place of a training file that the host has no longer."""
    validation: Path | None = None
    yardstick: int = MOST_PROMPTS
    budget: float | None = USUAL_BUDGET
    deployment: str | None = None
    """What the model is called where it answers by another name than its own, as on Azure."""

    @property
    def files(self) -> tuple[tuple[str, Path], ...]:
        """The caller's own, by what they are."""
        named = (("training", self.training), ("validation", self.validation))
        return tuple((part, path) for part, path in named if path is not None)

    @classmethod
    def of(
        cls,
        *,
        training: str | os.PathLike[str] | None = None,
        validation: str | os.PathLike[str] | None = None,
        yardstick: object = MOST_PROMPTS,
        budget: object = USUAL_BUDGET,
        deployment: object = None,
    ) -> Wanted:
        """The arguments as a caller passed them, checked."""
        return cls(
            training=_local("training", training),
            validation=_local("validation", validation),
            yardstick=whole_number("yardstick", yardstick, 0),
            budget=None if budget is None else number("budget", budget, 0, math.inf),
            deployment=None if deployment is None else string("deployment", deployment),
        )


@dataclass(slots=True)
class Purse:
    """What may be spent on the answers of many models together; None for no limit."""

    left: float | None
    spent: float = field(default=0.0)

    def pay(self, price: float | None) -> str:
        """Take so much; or else why it cannot be taken."""
        if self.left is not None:
            if price is None:
                return "what the model costs is not on file. Pass budget=None to ask it all the same"
            if price > self.left:
                return f"it would cost about ${price:,.4f}, and ${self.left:,.4f} of the budget is left. Raise budget="
            self.left -= price
        self.spent += price or 0.0
        return ""


def archive_job(
    backend: Backend,
    job_id: str,
    folder: Path,
    wanted: Wanted,
    *,
    purse: Purse | None = None,
    host: Inquiry | None = None,
    known: dict[str, Path] | None = None,
) -> Archive:
    """Bring a job home; `FineTuneJob.archive` is its public name."""
    place = place_of(backend)
    address = "" if place is None else place.address
    with _alone(made(folder)):
        kept = Writing(folder, host=backend.profile.name, address=address, job_id=job_id)
        if kept.settled and _answered(kept, wanted):
            return Archive.read(folder)
        host = host or Inquiry(backend)
        found = host.ask(lambda: look_up(backend, job_id))
        kept.saw(found.state, model=found.model)
        _fetch_all(kept, found, host, {} if known is None else known)
        _local_files(kept, wanted)
        _yardstick(kept, found, host, wanted, purse or Purse(wanted.budget))
        archive = kept.write()
    _log.info("%s", str(archive).partition("\n")[0])
    return archive


def with_files(
    archive: Archive, *, training: str | os.PathLike[str] | None, validation: str | os.PathLike[str] | None
) -> Archive:
    """The archive with files of the caller's in place of those that are not in it; no host is asked."""
    wanted = Wanted.of(training=training, validation=validation)
    if wanted.training is None and wanted.validation is None:
        return archive
    with _alone(archive.folder):
        manifest = Archive.read(archive.folder).manifest
        kept = Writing(archive.folder, host=manifest.host, address=manifest.address, job_id=manifest.job_id)
        if not _local_files(kept, wanted):
            return archive
        return kept.so_far() if manifest.broken_off else kept.write()


@contextmanager
def _alone(folder: Path) -> Generator[None]:
    """Whoever comes second waits, and finds what the first has brought."""
    with held(folder, _LOCK, what="writing the archive", patience=Patience(_PATIENCE_SECONDS)):
        tidied(folder)
        yield


def _fetch_all(kept: Writing, found: Found, host: Inquiry, known: dict[str, Path]) -> None:
    state, job_id = found.state, found.state.id
    parts = list(parts_of(host.backend, found))
    final = kept.before is not None and kept.before.final
    kept.expect((*(part.name for part in parts), "answers"))
    for part in parts:
        if kept.has(part.name) is None or not (part.lasting or final):
            _fetch(kept, part, host, known)
    there = {part.name for part in parts}
    if "training" not in there:
        kept.leave_out("training", "gone", f"the host does not tell which file {job_id} was trained on")
    if "validation" not in there:
        kept.leave_out("validation", "none", f"{job_id} had no validation file")
    why: Why = "none" if state.finished else "later"
    if "results-1" not in there and kept.has("results-1") is None:
        kept.leave_out("results", why, f"{job_id} is {state.status!r} and has no result files")
    if "card" not in there:
        kept.leave_out("card", why, f"{job_id} is {state.status!r} and has no model")
    kept.leave_out("weights", "none", _WEIGHTS)


def _fetch(kept: Writing, part: Part, host: Inquiry, known: dict[str, Path]) -> None:
    def bring() -> None:
        got = part.fetch()
        host.paged(got.items)
        kept.keep(part.name, part.filename, got.pieces, source_id=part.source_id, source_name=got.source_name)

    try:
        if not _kept_before(kept, part, known):
            host.ask(bring, requests=part.requests) if part.requests else bring()
    except NotWrittenError:
        raise
    except _GONE as error:
        kept.leave_out(part.name, "gone", str(error), source_id=part.source_id)
    except (BackendError, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, BackendError) else f"it cannot be written as JSON: {error}"
        kept.leave_out(
            part.name, "gone" if isinstance(error, AccessError) else "failed", reason, source_id=part.source_id
        )
    else:
        if part.lasting:
            known.setdefault(part.source_id, kept.folder / part.filename)


def _kept_before(kept: Writing, part: Part, known: dict[str, Path]) -> bool:
    """Whether a file that another job was trained on as well could be had from that one's archive."""
    path = known.get(part.source_id) if part.lasting else None
    if path is None:
        return False
    try:
        file = next((one for one in Archive.read(path.parent).files if one.name == path.name), None)
    except DataError:
        return False
    if file is None or state_of(path.parent, file) is not None:
        return False
    pieces = _pieces(path, part.name)
    kept.keep(part.name, part.filename, pieces, source_id=part.source_id, source_name=file.source_name)
    return True


def _local_files(kept: Writing, wanted: Wanted) -> bool:
    """Take files of the caller's in place of those that the host has no longer, or never had; False for none of them.

    One that an earlier call has passed is replaced: it may have been the wrong one.
    """
    taken = False
    for part, path in wanted.files:
        if not _is_wanted(kept, part, path):
            continue
        suffix = path.suffix.lower()
        name = f"{part}{suffix if suffix in _SUFFIXES else '.jsonl'}"
        kept.keep(part, name, _pieces(path, part), source_name=path.name, origin="local file")
        taken = True
    return taken


def _is_wanted(kept: Writing, part: str, path: Path) -> bool:
    there = kept.has(part)
    return there is None or (there.origin == "local file" and not _is(path, there))


def _is(path: Path, file: ArchivedFile) -> bool:
    """Whether a file of the caller's is the one that was taken before."""
    digest = hashlib.sha256()
    for piece in _pieces(path, file.part):
        digest.update(piece)
    return digest.hexdigest() == file.sha256


def _yardstick(kept: Writing, found: Found, host: Inquiry, wanted: Wanted, purse: Purse) -> None:
    """The answers of the model to the validation prompts, while it still gives some."""
    if (there := kept.has("answers")) is not None:
        if _of_validation(kept, there):
            return
        kept.drop("answers")  # to other questions than those that a new model is asked
    model = found.state.fine_tuned_model
    if model is None:
        why: Why = "none" if found.state.finished else "later"
        kept.leave_out("answers", why, f"{found.state.id} is {found.state.status!r} and has no model to ask")
    elif not wanted.yardstick:
        kept.leave_out("answers", "left out", "yardstick=0: the model was not asked for any")
    elif kept.has("validation") is None:
        why = "none" if (missing := kept.missing("validation")) is not None and missing.why == "none" else "left out"
        kept.leave_out("answers", why, "there are no validation prompts to ask. Pass a file as validation=")
    else:
        _ask(kept, wanted.deployment or model, host, found.model, purse=purse, most=wanted.yardstick)


def _of_validation(kept: Writing, there: ArchivedFile) -> bool:
    validation = kept.has("validation")
    try:
        return validation is None or Answers.read(kept.folder / there.name).of_file(validation.sha256)
    except FormatError:
        return False


def _ask(kept: Writing, model: str, host: Inquiry, base: str, *, purse: Purse, most: int) -> None:
    archive, validation = kept.so_far(), kept.has("validation")
    assert validation is not None  # whoever calls has looked
    try:
        data = read_data(archive.path("training"), archive.path("validation"), archive.card)
        if data.validation is None:
            return
        asked = Questions.of(data.validation.rows, most)
    except DataError as error:
        kept.leave_out("answers", "left out", f"the validation file holds no prompts that can be read: {error}")
        return
    if not asked.asked:
        kept.leave_out("answers", "left out", "no validation example has an answer in words: they are tool calls")
        return
    price = asked.price(host.backend, base)
    refused = purse.pay(price)
    if refused:
        kept.leave_out("answers", "left out", f"{counted(len(asked.asked), 'prompt')}: {refused}")
        return
    costs = "at a price that is not on file" if price is None else f"for about ${price:,.4f}"
    _log.info("Asking %s %s, %s.", model, counted(len(asked.asked), "validation prompt"), costs)
    try:
        answers = host.ask(
            lambda: answers_of(host.backend, model, asked, data.template, validation_sha256=validation.sha256)
        )
    except _GONE as error:
        if host.backend.profile.needs_deployment:
            reason = f"a model answers by the name of its deployment there: pass deployment=. {error}"
            kept.leave_out("answers", "left out", reason)
        else:
            kept.leave_out("answers", "gone", str(error))
    except BackendError as error:
        kept.leave_out("answers", "failed", str(error))
    else:
        content = answers.model_dump_json(indent=2).encode() + b"\n"
        kept.keep("answers", "answers.json", [content], source_id=model, origin="made here")


def _answered(kept: Writing, wanted: Wanted) -> bool:
    """Whether nothing else could be asked of the model now, and no file of the caller's be taken."""
    there, missing = kept.has("answers"), kept.missing("answers")
    if there is not None and not _of_validation(kept, there):
        return False
    if any(_is_wanted(kept, part, path) for part, path in wanted.files):
        return False
    return missing is None or missing.why != "left out" or not wanted.yardstick


def _local(parameter: str, path: str | os.PathLike[str] | None) -> Path | None:
    if path is None:
        return None
    try:
        found = Path(path).expanduser()
    except (TypeError, RuntimeError) as error:
        raise ParameterError(f"{parameter}={path!r} is no path: {error}.", parameter=parameter) from error
    if not found.is_file():
        raise ParameterError(f"{parameter}={os.fsdecode(path)!r}: there is no such file.", parameter=parameter)
    return found


def _pieces(path: Path, part: str) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                yield piece
    except OSError as error:
        raise ParameterError(f"{part}={str(path)!r} cannot be read: {error.strerror}.", parameter=part) from error
