"""`File`: training files and results, at whatever backend the script is connected to."""

from __future__ import annotations

import codecs
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import Any, Protocol, Unpack, cast

import orjson

from finetune_kit._arguments import number, string
from finetune_kit._clock import clock
from finetune_kit._quoting import shown
from finetune_kit._retry import QUESTIONS
from finetune_kit.dataset import Dataset
from finetune_kit.errors import DataError
from finetune_kit.legacy.asynchronous import in_thread
from finetune_kit.legacy.calling import old_call
from finetune_kit.legacy.error import InvalidRequestError, OpenAIError, translated
from finetune_kit.legacy.replies import Reply, id_of, listed
from finetune_kit.legacy.result_files import in_old_columns, measured, results_in
from finetune_kit.legacy.settings import Transport, connection
from finetune_kit.legacy.shapes import file_reply
from finetune_kit.uploads import SpooledFile

_LOOKED_AT = frozenset({"processed", "error", "deleted", ""})
_LOOK_SECONDS = 5.0
_USUAL_NAME = re.compile(r"\w[\w. ()-]{0,79}")
_log = logging.getLogger("finetune_kit")


class Readable(Protocol):
    """A file that is open for reading."""

    def read(self) -> bytes | str:
        """All of it."""
        ...


@old_call("File.create")
def _create(
    file: Readable | bytes | str | os.PathLike[str],
    purpose: str,
    model: str | None = None,  # noqa: ARG001 - it had no effect then either
    *,
    user_provided_filename: str | None = None,
    **call: Unpack[Transport],
) -> Reply:
    """Send a training file, open for reading or as a path: JSON Lines line by line as they are, a table as such."""
    if purpose != "fine-tune":
        raise InvalidRequestError(
            f"purpose={purpose!r} cannot be carried: files are for training here. Pass 'fine-tune'.", param="purpose"
        )
    content, name = _read(file)
    if user_provided_filename is not None:
        name = string("user_provided_filename", user_provided_filename) or name
    name = PurePath(name).name or "file"
    at = connection(call)
    mark = at.backend.profile.byte_order_mark
    spooled = SpooledFile.of(_lines(content, name), filename=name, byte_order_mark=mark)
    state = at.backend.upload(spooled)
    at.sent[state.id] = spooled
    return file_reply(state)


def _read(file: Any) -> tuple[bytes, str]:
    """What is in it and what it is called."""
    if isinstance(file, bytes | bytearray | memoryview):
        return bytes(cast("bytes", file)), "file"
    content: bytes | None
    name = "file"
    try:
        if isinstance(file, str | os.PathLike):
            path = Path(cast("str | os.PathLike[str]", file)).expanduser()
            name = path.name
            content = path.read_bytes()
        else:
            name = str(getattr(file, "name", name))
            content = _rest_of(file)
    except (OSError, ValueError, RuntimeError) as error:  # not there, closed, of another encoding
        why = getattr(error, "strerror", None) or error
        if isinstance(error, io.UnsupportedOperation):
            why = "it is open for writing"
        raise InvalidRequestError(
            f'file={shown(name)} cannot be read: {why}. Pass open(path, "rb"), or the path.', param="file"
        ) from error
    if content is None:
        raise InvalidRequestError(
            f"file is {type(cast('object', file)).__name__}, and nothing that can be read. "
            'Pass open(path, "rb"), or the path.',
            param="file",
        )
    return content, name


def _rest_of(file: Any) -> bytes | None:
    """What is still to be read of an open file; None where it is none."""
    if isinstance(file, io.TextIOWrapper) and file.tell() == 0:
        # Opened as text, it has the encoding of the machine, which often is not its own.
        raw = bytes(cast("io.TextIOWrapper", file).buffer.read())
        return raw if _is_utf_8(raw) else raw.decode(file.encoding).encode()
    read = getattr(file, "read", None)  # pyright: ignore[reportUnknownArgumentType] - of a class with parameters
    content: object = read() if callable(read) else None
    if isinstance(content, str):
        return content.encode()
    return content if isinstance(content, bytes) else None


def _is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _lines(content: bytes, name: str) -> Iterable[bytes]:
    lines = [line for line in content.removeprefix(codecs.BOM_UTF8).splitlines() if line.strip()]
    if lines and all(map(_is_trainable, lines)):
        return lines
    data = read_content(content, name)
    if data.source.refusals:
        first = data.source.refusals[0]
        raise InvalidRequestError(
            f"{name} line {first.line} and {data.source.rows_refused:,} rows in all cannot be read: {first.reason}. "
            f"{first.hint}",
            param="file",
        )
    _log.warning("%s is no JSON Lines of prompts and completions, or of messages; its rows are sent as such.", name)
    return data.rows.content_lines()


def _is_trainable(line: bytes) -> bool:
    try:
        match orjson.loads(line):
            case {"prompt": str(), "completion": str()} | {"messages": [*_]}:
                return True
            case _:
                return False
    except orjson.JSONDecodeError:
        return False


def read_content(content: bytes, name: str) -> Dataset:
    """The rows of a file that is in memory; `DataError` where it holds none."""
    if not content.strip():
        raise InvalidRequestError(f"{name}: there is nothing in the file, or it was read to its end before.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name if _USUAL_NAME.fullmatch(name) else "file")
        path.write_bytes(content)
        try:
            return Dataset.from_file(path)
        except DataError as error:
            raise translated(error, str(error).replace(f"{folder}{os.sep}", "")) from error


@old_call("File.retrieve")
def _retrieve(id: object, **call: Unpack[Transport]) -> Reply:  # noqa: A002 - its name
    """What is known of a file."""
    file_id, backend = id_of(id, "id"), connection(call).backend
    return file_reply(QUESTIONS.call(lambda: backend.file(file_id)))


@old_call("File.list")
def _list(**call: Unpack[Transport]) -> Reply:
    """All training files, the newest first."""
    return listed([file_reply(state) for state in QUESTIONS.call(connection(call).backend.files)])


@old_call("File.download")
def _download(id: object, **call: Unpack[Transport]) -> bytes:  # noqa: A002 - its name
    """A file's bytes; a result file's as CSV with the columns of 2023, and today's behind them."""
    file_id, at = id_of(id, "id"), connection(call)
    content = QUESTIONS.call(lambda: at.backend.file_content(file_id))
    results = results_in(content)
    return content if results is None else in_old_columns(results, measured(at, file_id))


@old_call("File.delete")
def _delete(sid: object, **call: Unpack[Transport]) -> Reply:
    """Delete a file."""
    file_id, at = id_of(sid, "sid"), connection(call)
    at.backend.delete_file(file_id)
    at.sent.pop(file_id, None)
    return Reply(id=file_id, object="file", deleted=True)


@old_call("File.wait_for_processing")
def _wait_for_processing(id: object, max_wait_seconds: float = 1800, **call: Unpack[Transport]) -> str:  # noqa: A002
    """The file's status when the host has looked at it."""
    number("max_wait_seconds", max_wait_seconds, 0, sys.float_info.max)
    file_id, backend, begun = id_of(id, "id"), connection(call).backend, clock().monotonic()
    while (status := QUESTIONS.call(lambda: backend.file(file_id)).status) not in _LOOKED_AT:
        if clock().monotonic() - begun > max_wait_seconds:
            raise OpenAIError(f"{file_id} is still {status!r} after {max_wait_seconds:g} s. Wait again.")
        clock().sleep(_LOOK_SECONDS)
    return status


@old_call("File.find_matching_files")
def _find_matching_files(name: str, bytes: int, purpose: str, **call: Unpack[Transport]) -> list[Reply]:  # noqa: A002
    """Files with this name and size; content is not compared."""
    wanted = (PurePath(string("name", name)).name, bytes, purpose)
    found = map(file_reply, QUESTIONS.call(connection(call).backend.files))
    return [one for one in found if (PurePath(one["filename"]).name, one["bytes"], one["purpose"]) == wanted]


class File:
    """Training files and results."""

    create, acreate = staticmethod(_create), staticmethod(in_thread(_create))
    retrieve, aretrieve = staticmethod(_retrieve), staticmethod(in_thread(_retrieve))
    list, alist = staticmethod(_list), staticmethod(in_thread(_list))
    download, adownload = staticmethod(_download), staticmethod(in_thread(_download))
    delete, adelete = staticmethod(_delete), staticmethod(in_thread(_delete))
    wait_for_processing = staticmethod(_wait_for_processing)
    find_matching_files = staticmethod(_find_matching_files)
    afind_matching_files = staticmethod(in_thread(_find_matching_files))
