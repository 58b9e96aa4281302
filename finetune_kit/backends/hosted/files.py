"""A host's files: sent as they are read, found, fetched and deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from finetune_kit.backends.hosted.asked import Ask, FilePart, path_of
from finetune_kit.backends.hosted.asking import READ_SECONDS, Asker
from finetune_kit.backends.hosted.listing import everything
from finetune_kit.backends.hosted.metered import metered
from finetune_kit.backends.hosted.objects import is_training_file, read_file
from finetune_kit.backends.hosted.parts import send_in_parts
from finetune_kit.backends.protocol import FileState, PartJournal
from finetune_kit.errors import FileTooLargeError, HostReplyError, UnclearOutcomeError, UnknownFileError
from finetune_kit.records import JsonValue
from finetune_kit.uploads import SpooledFile

PURPOSE = "fine-tune"
_FILES = "/files"


@dataclass(frozen=True, slots=True)
class Files:
    """The training files of one account; a host with an API of its own says the first methods otherwise."""

    asker: Asker

    def retold(self, file: JsonValue) -> JsonValue:
        """A file in the words of OpenAI's API."""
        return file

    def list_query(self) -> dict[str, JsonValue]:
        """What asks for training files alone."""
        return {"purpose": PURPOSE}

    def sent(self, file: SpooledFile, on_progress: Callable[[int], None] | None) -> FileState:
        """Send a file in one piece."""
        with file.open() as content:
            ask = Ask(
                method="POST",
                path=_FILES,
                what=f"{file.filename} cannot be uploaded",
                subject="file",
                name=file.filename,
                body={"purpose": PURPOSE},
                file=FilePart(
                    field="file",
                    filename=file.filename,
                    content=metered(content, on_progress),
                    content_type=self.asker.host.profile.content_type,
                ),
                creates="a file",
            )
            return self.arrived(self.asker.object(ask), ask)

    def arrived(self, answer: JsonValue, ask: Ask) -> FileState:
        """The file that a host has answered with; `UnclearOutcomeError` where it did not."""
        try:
            return read_file(self.retold(answer))
        except HostReplyError as error:
            raise UnclearOutcomeError(f"{ask.what}: {error} Whether it is there is not known.") from error

    def upload(
        self, file: SpooledFile, *, journal: PartJournal | None, on_progress: Callable[[int], None] | None
    ) -> FileState:
        """Send a file, in one piece where the host takes it so, else in parts."""
        profile = self.asker.host.profile
        if file.size_bytes <= profile.max_file_bytes:
            return self.sent(file, on_progress)
        if profile.max_upload_bytes is not None and file.size_bytes <= profile.max_upload_bytes:
            return send_in_parts(self.asker, file, journal=journal, on_progress=on_progress)
        most = max(profile.max_file_bytes, profile.max_upload_bytes or 0)
        raise FileTooLargeError(
            f"{file.filename} has {file.size_bytes:,} bytes; {profile.name!r} takes {most:,} at most. "
            "Train on fewer rows, or on another host.",
            path=file.filename,
            size_bytes=file.size_bytes,
            max_bytes=most,
        )

    def state(self, file_id: str) -> FileState:
        """A stored file now, or `UnknownFileError`."""
        return read_file(self.retold(self.asker.read(_ask(file_id, what="cannot be read"))))

    def states(self) -> list[FileState]:
        """All stored training files, the newest first."""
        ask = Ask(path=_FILES, what="the files cannot be listed", query=self.list_query(), timeout_seconds=READ_SECONDS)
        found: list[FileState] = []
        for one in everything(self.asker, ask, limit=None):
            with suppress(HostReplyError):  # what has no id hides no other
                found += [read_file(self.retold(one))] if is_training_file(one) else []
        return sorted(found, key=lambda state: state.created_at, reverse=True)

    def delete(self, file_id: str) -> None:
        """Delete a stored file."""
        ask = _ask(file_id, what="cannot be deleted", method="DELETE")
        self.asker.reply(ask)

    def content(self, file_id: str) -> bytes:
        """A stored file's bytes, or those of one that is made of the host's answers."""
        made = self.made(file_id)
        return self.asker.content(_content_ask(file_id)) if made is None else made

    def pieces(self, file_id: str) -> Iterator[bytes]:
        """The same piece by piece."""
        made = self.made(file_id)
        yield from self.asker.pieces(_content_ask(file_id)) if made is None else (made,)

    def made(self, file_id: str) -> bytes | None:  # noqa: ARG002 - hosts that make some look at it
        """The content of a file that the host has not stored as one; None where it has, as OpenAI's has all."""
        return None


def _content_ask(file_id: str) -> Ask:
    return _ask(file_id, "content", what="cannot be fetched", patience=None)


def _ask(
    file_id: str,
    *more: str,
    what: str,
    method: Literal["GET", "DELETE"] = "GET",
    patience: float | None = READ_SECONDS,
) -> Ask:
    path = path_of(file_id, *more)
    if path is None:
        raise UnknownFileError(f"{file_id!r} is the id of no file.", file_id=file_id)
    return Ask(
        method=method,
        path=_FILES + path,
        what=f"the file {file_id!r} {what}",
        subject="file",
        name=file_id,
        timeout_seconds=patience,
    )
