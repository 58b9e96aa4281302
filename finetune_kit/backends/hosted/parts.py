"""A file sent in parts: a few at once, each tried a few times, and gone on with where an earlier attempt broke off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import md5

from finetune_kit._retry import Retries
from finetune_kit.backends.hosted.asked import Ask, FilePart, path_of
from finetune_kit.backends.hosted.asking import READ_SECONDS, Asker, JsonObject
from finetune_kit.backends.hosted.metered import Total, metered
from finetune_kit.backends.hosted.objects import read_file
from finetune_kit.backends.hosted.objects.values import text
from finetune_kit.backends.hosted.statuses import NOT_OFFERED
from finetune_kit.backends.protocol import FileState, PartJournal
from finetune_kit.errors import (
    AccessError,
    AuthenticationError,
    BackendError,
    FileTooLargeError,
    HostReplyError,
    QuotaError,
    RequestRefusedError,
    UnclearOutcomeError,
    UnknownFileError,
)
from finetune_kit.records import JsonValue
from finetune_kit.uploads import SpooledFile

_AT_ONCE = 4
_PART_TRIES = Retries(attempts=4, deadline_seconds=60.0, first_pause_seconds=0.5, longest_pause_seconds=8.0)
_PURPOSE = "fine-tune"
_DEFINITE = (RequestRefusedError, AccessError, AuthenticationError, QuotaError, FileTooLargeError)
_EXPIRED = (UnknownFileError, RequestRefusedError)
"""What a host answers about an upload that is over: it lives for an hour."""


@dataclass(slots=True)
class _InMemory:
    """A journal for those who keep none."""

    upload_id: str | None = None
    parts: dict[int, str] = field(default_factory=dict[int, str])

    def begin(self, upload_id: str, *, part_bytes: int) -> None:  # noqa: ARG002 - the protocol's
        self.upload_id, self.parts = upload_id, {}

    def arrived(self, number: int, part_id: str) -> None:
        self.parts[number] = part_id


def send_in_parts(
    asker: Asker,
    file: SpooledFile,
    *,
    journal: PartJournal | None,
    on_progress: Callable[[int], None] | None,
) -> FileState:
    """Send a file by the uploads API; parts that have arrived already are not sent again.

    An upload that was begun before and is over at the host begins anew, once.
    """
    sending = _Sending(asker, file, journal or _InMemory(), on_progress)
    if sending.can_go_on:
        with suppress(*_EXPIRED):
            return sending.go_on()
    sending.begin()
    try:
        return sending.go_on()
    except _DEFINITE:
        sending.cancel()
        raise
    except UnclearOutcomeError:  # the file may be there
        raise
    except BackendError:
        if journal is None:  # nobody could go on with it
            sending.cancel()
        raise


@dataclass(frozen=True, slots=True)
class _Sending:
    asker: Asker
    file: SpooledFile
    journal: PartJournal
    on_progress: Callable[[int], None] | None

    @property
    def _part_bytes(self) -> int:
        return self.asker.host.profile.upload_part_bytes

    @property
    def can_go_on(self) -> bool:
        """Whether an upload was begun, in parts of the same size where the journal tells; a wrong guess is found out
        by the checksum."""
        size: object = getattr(self.journal, "part_bytes", None)
        return self.journal.upload_id is not None and size in {None, self._part_bytes}

    def begin(self) -> None:
        """Announce the file."""
        body: dict[str, JsonValue] = {
            "bytes": self.file.size_bytes,
            "filename": self.file.filename,
            "mime_type": self.asker.host.profile.content_type,
            "purpose": _PURPOSE,
        }
        ask = Ask(
            method="POST",
            path="/uploads",
            what=f"{self.file.filename} cannot be uploaded in parts",
            body=body,
            timeout_seconds=READ_SECONDS,
        )
        try:
            answer = self.asker.read(ask)  # an upload too many expires by itself, and holds no file
        except RequestRefusedError as error:
            if error.code != NOT_OFFERED:
                raise
            raise FileTooLargeError(
                f"{error} Files over {self.asker.host.profile.max_file_bytes:,} bytes need its uploads API.",
                path=self.file.filename,
                size_bytes=self.file.size_bytes,
                max_bytes=self.asker.host.profile.max_file_bytes,
            ) from error
        upload_id = text(answer.get("id"))
        if upload_id is None:
            raise HostReplyError(f"{ask.what}: the host's answer is no upload, it has no 'id'.")
        self.journal.begin(upload_id, part_bytes=self._part_bytes)

    def go_on(self) -> FileState:
        """Send what is missing, then put it together."""
        count = -(-self.file.size_bytes // self._part_bytes)
        with ThreadPoolExecutor(max_workers=1) as beside:
            digest = beside.submit(self._digest)
            self._send_missing(count)
            parts = self.journal.parts
            return self._complete([parts[number] for number in range(count)], digest.result())

    def _send_missing(self, count: int) -> None:
        arrived = self.journal.parts
        missing = [number for number in range(count) if number not in arrived]
        there = sum(self._size(number) for number in range(count) if number in arrived)
        if there and self.on_progress is not None:
            self.on_progress(there)
        self._send(missing, Total(there, self.on_progress))

    def _digest(self) -> str:
        digest = md5(usedforsecurity=False)
        for block in self.file.blocks():
            digest.update(block)
        return digest.hexdigest()

    def cancel(self) -> None:
        """Give it up; a host that cannot be told lets it expire."""
        with suppress(BackendError):
            self.asker.reply(self._ask("cancel", what="cannot be cancelled", body={}))

    def _send(self, missing: list[int], total: Total) -> None:
        with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="finetune_kit-part") as threads:
            futures = [threads.submit(self._send_part, number, total) for number in missing]
            wait(futures, return_when=FIRST_EXCEPTION)
            for future in futures:
                future.cancel()
            _raise_first(futures)

    def _send_part(self, number: int, total: Total) -> None:
        part_id = _PART_TRIES.call(lambda: self._post_part(number, total.of_part(number)))
        self.journal.arrived(number, part_id)

    def _post_part(self, number: int, on_progress: Callable[[int], None] | None) -> str:
        start = number * self._part_bytes
        with self.file.open(start, start + self._size(number)) as content:
            part = FilePart(
                field="data",
                filename=f"part-{number}",
                content=metered(content, on_progress),
                content_type="application/octet-stream",
            )
            ask = self._ask("parts", what=f"did not take part {number}", file=part)
            found = self.asker.object(ask)
        part_id = text(found.get("id"))
        if part_id is None:
            raise HostReplyError(f"{ask.what}: the host's answer has no 'id'.")
        return part_id

    def _complete(self, part_ids: list[str], digest: str) -> FileState:
        body: dict[str, JsonValue] = {"part_ids": list[JsonValue](part_ids), "md5": digest}
        ask = self._ask("complete", what="cannot be completed", body=body, creates="a file")
        return _completed(self.asker.object(ask), ask)

    def _size(self, number: int) -> int:
        return min(self._part_bytes, self.file.size_bytes - number * self._part_bytes)

    def _ask(
        self,
        word: str,
        *,
        what: str,
        body: Mapping[str, JsonValue] | None = None,
        file: FilePart | None = None,
        creates: str = "",
    ) -> Ask:
        upload_id = self.journal.upload_id or ""
        return Ask(
            method="POST",
            path=f"/uploads{path_of(upload_id, word) or '/-/' + word}",
            what=f"{self.file.filename}: the upload {upload_id!r} {what}",
            subject="upload",
            name=upload_id,
            body=body,
            file=file,
            creates=creates,
        )


def _raise_first(futures: list[Future[None]]) -> None:
    """The first error there was; those of parts that were given up because of it do not count."""
    for future in futures:
        if future.done() and not future.cancelled() and (error := future.exception()) is not None:
            raise error


def _completed(answer: JsonObject, ask: Ask) -> FileState:
    try:
        return read_file(answer.get("file"))
    except HostReplyError as error:
        raise UnclearOutcomeError(f"{ask.what}: {error} Whether the file is there is not known.") from error
