"""The examples of an archived job as they were before they were rendered, and what they were rendered with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from finetune_kit._marks import found_template, misfit, taken_off
from finetune_kit.archiving.archive import Archive
from finetune_kit.cards import ModelCard
from finetune_kit.errors import FormatError
from finetune_kit.readers import read_file
from finetune_kit.rows import Rows
from finetune_kit.sides import Side
from finetune_kit.templates import PromptTemplate

_NO_MARKS = PromptTemplate(separator="", stop="", leading_space=False)


class _State(BaseModel):
    model_config = ConfigDict(extra="ignore")

    model: str = ""


class _Job(BaseModel):
    model_config = ConfigDict(extra="ignore")

    state: _State
    suffix: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What was asked of the host besides what the card tells."""

    model: str
    """What was trained: a base, or an earlier model that was trained further."""
    suffix: str | None = None
    seed: int | None = None

    @classmethod
    def of(cls, archive: Archive) -> JobFacts:
        """As an archive has them; `FormatError` where it is damaged."""
        path = archive.path("job")
        if path is None:
            return cls(archive.manifest.model)
        try:
            job = _Job.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise FormatError(f"{path} cannot be read: verify() tells what is damaged.", path=path) from error
        return cls(job.state.model or archive.manifest.model, job.suffix, job.seed)


@dataclass(frozen=True, slots=True)
class Data:
    """Training and validation examples; prompts and completions without the marks that stood around them."""

    training: Side | None
    validation: Side | None
    template: PromptTemplate | None
    """The marks; None where the examples are no prompts and completions."""


def read_data(training: Path | None, validation: Path | None, card: ModelCard | None) -> Data:
    """Read the files of a job back, by the card's template where all rows fit it, else by the marks that all have.

    Raises a `DataError` where a file holds no examples.
    """
    named = (("training", training), ("validation", validation))
    sides = {name: _side(name, path) for name, path in named if path is not None}
    completions = [side.rows for side in sides.values() if side.rows.kind == "completion"]
    template = _template(completions, card) if completions else None
    if template is not None:
        sides = {
            name: replace(side, rows=taken_off(side.rows, template)) if side.rows.kind == "completion" else side
            for name, side in sides.items()
        }
    return Data(sides.get("training"), sides.get("validation"), template)


def _side(name: str, path: Path) -> Side:
    read = read_file(path)
    return Side(name, read.rows, read.source)


def _template(rows: list[Rows], card: ModelCard | None) -> PromptTemplate:
    told = None if card is None else card.template
    if told is not None and told != _NO_MARKS and misfit(told, rows) is None:
        return told
    return found_template(rows)
