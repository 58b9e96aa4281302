"""Training and validation files of an old script, as sides that are trained on exactly as they are."""

from __future__ import annotations

import codecs
import os
from dataclasses import replace
from pathlib import Path
from typing import cast

from finetune_kit._marks import found_template, misfit, taken_off
from finetune_kit._retry import QUESTIONS
from finetune_kit.backends import Backend
from finetune_kit.dataset import Dataset
from finetune_kit.errors import AccessError, RequestRefusedError, UnknownFileError
from finetune_kit.legacy.error import InvalidRequestError
from finetune_kit.legacy.files import read_content
from finetune_kit.legacy.replies import id_of
from finetune_kit.legacy.settings import Connection
from finetune_kit.sides import Side, Sides
from finetune_kit.templates import PromptTemplate
from finetune_kit.uploads import SpooledFile

_ID_BEGINS = "file-"


def sides_of(at: Connection, training_file: object, validation_file: object, model: object) -> Sides:
    """The rows of both files without the marks around them, and these marks, which training puts back."""
    training = _side(at, "training", training_file)
    held_out = () if validation_file is None else (_side(at, "validation", validation_file),)
    sets = [side.rows for side in (training, *held_out)]
    if any(rows.kind != "completion" for rows in sets):
        return Sides(training, held_out)
    template = _earlier_template(at.backend, model) or found_template(sets)
    if misfit(template, sets) is not None:
        raise InvalidRequestError(_unlike(str(model), template), param="training_file")
    training, *validation = (replace(side, rows=taken_off(side.rows, template)) for side in (training, *held_out))
    return Sides(training, tuple(validation), template=template)


def _side(at: Connection, name: str, file: object) -> Side:
    parameter = f"{name}_file"
    if isinstance(file, os.PathLike) or (isinstance(file, str) and _is_path(at, file)):
        data = Dataset.from_file(Path(cast("str | os.PathLike[str]", file)).expanduser())
        return Side(name, data.rows, data.source)
    file_id = id_of(file, parameter)
    content = _content(at, file_id, parameter)
    data = read_content(content, file_id)
    return Side(name, data.rows, data.source, _at_the_backend(content, file_id))


def _content(at: Connection, file_id: str, parameter: str) -> bytes:
    if file_id in at.sent:
        return at.sent[file_id].content()
    try:
        return QUESTIONS.call(lambda: at.backend.file_content(file_id))
    except UnknownFileError as error:
        raise InvalidRequestError(_missing(parameter, file_id), param=parameter) from error
    except (AccessError, RequestRefusedError) as error:
        message = (
            f"{parameter}={file_id!r}: the host does not give this file back, which is looked at before it is trained "
            f"on. Pass its path instead: what is at the host already is not sent again. The host says: {error}"
        )
        raise InvalidRequestError(message, param=parameter) from error


def _at_the_backend(content: bytes, file_id: str) -> SpooledFile:
    mark = content.startswith(codecs.BOM_UTF8)
    lines = content.removeprefix(codecs.BOM_UTF8).splitlines()
    file = SpooledFile.of(lines, filename=file_id, byte_order_mark=mark)
    file.file_id = file_id
    return file


def _is_path(at: Connection, text: str) -> bool:
    """What looks like an id and is one counts before a file of that name, as it did then."""
    try:
        is_file = Path(text).expanduser().is_file()
    except (OSError, RuntimeError, ValueError):  # no name that a file can have
        return False
    if not is_file or not text.startswith(_ID_BEGINS):
        return is_file
    try:
        QUESTIONS.call(lambda: at.backend.file(text))
    except UnknownFileError:
        return True
    return False


def _missing(parameter: str, file: str) -> str:
    if file.lower().startswith(("http://", "https://")):
        return f"{parameter}={file!r}: nothing is fetched from the web here. Download it, and pass its path."
    return f"{parameter}={file!r} is neither a file here nor the id of one at the backend. Look at File.list()."


def _earlier_template(backend: Backend, model: object) -> PromptTemplate | None:
    """Of the fine-tuned model that is trained further, if it is one."""
    if not isinstance(model, str) or not backend.resolve(model).base:
        return None
    return backend.card(model).template


def _unlike(model: str, template: PromptTemplate) -> str:
    space = ", and completions begin with a space" if template.leading_space else ""
    return (
        f"{model} learned from prompts that end with {template.separator!r} and completions that end with "
        f"{template.stop!r}{space}; some rows here are otherwise. Mark them alike, or leave the marks to the library: "
        f"Dataset.from_file(...).split(0.8).train(model={model!r})."
    )
