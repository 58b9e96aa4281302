"""The files at the host."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from finetune_kit.testing.simulator.blob import Content
from finetune_kit.testing.simulator.names import Names
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import JsonObject

PURPOSES = ("assistants", "batch", "evals", "fine-tune", "user_data", "vision")


@dataclass(slots=True, kw_only=True)
class StoredFile:
    """One file."""

    id: str
    filename: str
    purpose: str
    created_at: float
    ready_at: float
    content: Content
    expires_at: float | None = None
    trouble: str | None = None
    """Why it cannot be used."""

    def status(self, now: float) -> str:
        """`uploaded` until it has been processed."""
        if now < self.ready_at:
            return "uploaded"
        return "processed" if self.trouble is None else "error"

    def as_json(self, now: float) -> JsonObject:
        """As the API tells it."""
        return {
            "object": "file",
            "id": self.id,
            "purpose": self.purpose,
            "filename": self.filename,
            "bytes": self.content.size,
            "created_at": int(self.created_at),
            "expires_at": None if self.expires_at is None else int(self.expires_at),
            "status": self.status(now),
            "status_details": self.trouble,
        }


@dataclass(slots=True)
class FileShelf:
    """All files, the oldest first."""

    names: Names
    azure: bool
    _files: dict[str, StoredFile] = field(default_factory=dict[str, StoredFile])
    _retired: list[Content] = field(default_factory=list[Content])

    def add(
        self,
        content: Content,
        *,
        filename: str,
        purpose: str,
        now: float,
        ready_at: float | None = None,
        lifetime_seconds: float | None = None,
    ) -> StoredFile:
        """Keep a file."""
        file = StoredFile(
            id=self.names.hexadecimal("file-") if self.azure else self.names.new("file-"),
            filename=filename,
            purpose=purpose,
            created_at=now,
            ready_at=now if ready_at is None else ready_at,
            content=content,
            expires_at=None if lifetime_seconds is None else now + lifetime_seconds,
        )
        self._files[file.id] = file
        return file

    def get(self, file_id: str, now: float) -> StoredFile:
        """A file, or a `Refusal`; what has expired is gone."""
        file = self.find(file_id, now)
        if file is None:
            raise Refusal.no_file(file_id)
        return file

    def find(self, file_id: str, now: float) -> StoredFile | None:
        """A file, or None."""
        file = self._files.get(file_id)
        if file is not None and file.expires_at is not None and now >= file.expires_at:
            self.delete(file_id)
            return None
        return file

    def delete(self, file_id: str) -> None:
        """Forget a file; jobs that have begun to read it go on."""
        self._retired.append(self._files.pop(file_id).content)

    def all(self, now: float) -> list[StoredFile]:
        """Those there are, the oldest first."""
        for file_id in list(self._files):
            self.find(file_id, now)
        return list(self._files.values())

    def __iter__(self) -> Iterator[StoredFile]:
        return iter(self._files.values())

    def close(self) -> None:
        """Let go of all content."""
        for content in [*self._retired, *(file.content for file in self._files.values())]:
            content.close()
        self._files.clear()
        self._retired.clear()
