"""Together's own files: sent in three steps, the middle one to a store that has nothing to do with the key.

After the package `together` 3.1.1 of November 2026; not run against the host itself yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from finetune_kit.backends.hosted.asked import Ask, path_of
from finetune_kit.backends.hosted.asking import JsonObject, transport
from finetune_kit.backends.hosted.dialects.measured import job_of, result_file
from finetune_kit.backends.hosted.dialects.together_jobs import TogetherJobs
from finetune_kit.backends.hosted.files import PURPOSE, Files
from finetune_kit.backends.hosted.mapping import Host, mapped, odd
from finetune_kit.backends.hosted.metered import metered
from finetune_kit.backends.hosted.objects.values import members, text
from finetune_kit.backends.protocol import FileState
from finetune_kit.errors import FinetuneKitError, HostUnavailableError, RequestRefusedError
from finetune_kit.records import JsonValue
from finetune_kit.uploads import SpooledFile

_ID, _ADDRESS = "x-together-file-id", "location"
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class TogetherFiles(Files):
    """The training files of one account at Together."""

    def retold(self, file: JsonValue) -> JsonValue:
        """A file in the words of OpenAI's API; the host looks into it on its own time."""
        found = members(file)
        if not found:
            return file
        told: JsonObject = {**found, "status": None}
        progress = text(found.get("processing_status"), limit=40)
        if progress is not None:
            told["status"] = self.asker.host.profile.file_status_words.get(progress.casefold(), progress.casefold())
            told["status_details"] = members(found.get("validation_report")).get("error")
        return told

    def list_query(self) -> dict[str, JsonValue]:
        """The list takes no parameters."""
        return {}

    def sent(self, file: SpooledFile, on_progress: Callable[[int], None] | None) -> FileState:
        """Ask where to, send the bytes there, and say that they are there: only then is there a file."""
        ask = Ask(
            method="POST",
            path="/files",
            what=f"{file.filename} cannot be uploaded",
            subject="file",
            name=file.filename,
            body={"purpose": PURPOSE, "file_name": file.filename, "file_type": "jsonl", "checksum": file.sha256},
            as_form=True,
        )
        try:
            headers = self.asker.elsewhere(ask)
        except RequestRefusedError as error:
            there = _there_already(error)
            if there is None:
                raise
            return self.state(there)
        file_id, address = headers.get(_ID), headers.get(_ADDRESS)
        path = None if file_id is None else path_of(file_id, "preprocess")
        if path is None or address is None or not self._is_fit(address):
            raise odd("did not say where to send it", ask, self.asker.host)
        with file.open() as content:
            self._put(address, metered(content, on_progress), file.size_bytes, ask)
        done = Ask(
            method="POST",
            path=f"/files{path}",
            what=ask.what,
            subject="file",
            name=file.filename,
            body={},
            creates="a file",
        )
        return self.arrived(self.asker.object(done), done)

    def made(self, file_id: str) -> bytes | None:
        """What a job measured, where the file is that."""
        job_id = job_of(file_id)
        if job_id is None:
            return None
        return result_file(TogetherJobs(self.asker).measured(job_id), file_id, self.asker.host.profile)

    def _is_fit(self, address: str) -> bool:
        """Whether the bytes are as safe on their way there as on their way to the host."""
        parts = urlsplit(address)
        safe = {"https"} if self.asker.host.address.startswith("https:") else {"https", "http"}
        return parts.scheme in safe and bool(parts.hostname)

    def _put(self, address: str, content: BinaryIO, size_bytes: int, ask: Ask) -> None:
        """The address is a secret of its own: neither the key goes there, nor it into a message."""
        parts = urlsplit(address)
        store = Host(self.asker.host.profile, f"{parts.scheme}://{parts.hostname}", (address, parts.query))
        client = transport().Client(timeout=self.asker.client.timeout, follow_redirects=False)
        try:
            with client:
                headers = {"content-length": str(size_bytes)}
                status: int = client.put(address, content=_pieces(content), headers=headers).status_code
        except Exception as error:
            raise mapped(error, ask, store) from error
        if not 200 <= status < 300:
            raise _refused(f"{ask.what}: {store.address}, where Together keeps files, answered HTTP {status}.", status)


def _there_already(error: RequestRefusedError) -> str | None:
    """The file of the same content that a conflict names; None where it is another refusal."""
    cause = error.__cause__
    if getattr(cause, "status_code", None) != 409:
        return None
    return text(members(cast("JsonValue", getattr(cause, "body", None))).get("file_id"))


def _refused(message: str, status: int) -> FinetuneKitError:
    return HostUnavailableError(message, status=status) if status >= 500 else RequestRefusedError(message)


def _pieces(content: BinaryIO) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        yield piece
