"""Files that come in parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_kit.testing.simulator.blob import Blob, Content
from finetune_kit.testing.simulator.files import StoredFile
from finetune_kit.testing.simulator.names import Names
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import JsonObject

LIFETIME_SECONDS = 3600
"""After which an upload that was not completed has expired."""


@dataclass(slots=True, kw_only=True)
class Upload:
    """One file on its way."""

    id: str
    filename: str
    mime_type: str
    purpose: str
    size_bytes: int
    """As it was announced."""
    created_at: float
    lifetime_seconds: float | None
    """Of the file that comes of it."""
    status: str = "pending"
    parts: dict[str, Blob] = field(default_factory=dict[str, Blob])
    file: StoredFile | None = None

    @property
    def expires_at(self) -> float:
        """When it is too late."""
        return self.created_at + LIFETIME_SECONDS

    def check_pending(self) -> None:
        """Complain of an upload that takes no more."""
        if self.status != "pending":
            raise Refusal.invalid(f"Upload {self.id} is {self.status}.", param="upload_id", code="invalid_status")

    def end(self, status: str) -> None:
        """Forget the parts that went into no file."""
        self.status = status
        used = () if self.file is None else self.file.content.blobs
        for blob in self.parts.values():
            if blob not in used:
                blob.close()
        self.parts.clear()

    def as_json(self, now: float) -> JsonObject:
        """As the API tells it."""
        return {
            "object": "upload",
            "id": self.id,
            "bytes": self.size_bytes,
            "created_at": int(self.created_at),
            "expires_at": int(self.expires_at),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": self.status,
            "file": None if self.file is None else self.file.as_json(now),
        }


@dataclass(slots=True)
class UploadShelf:
    """All uploads."""

    names: Names
    _uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])

    def create(
        self,
        *,
        filename: str,
        mime_type: str,
        purpose: str,
        size_bytes: int,
        lifetime_seconds: float | None,
        now: float,
    ) -> Upload:
        """Begin."""
        upload = Upload(
            id=self.names.new("upload_"),
            filename=filename,
            mime_type=mime_type,
            purpose=purpose,
            size_bytes=size_bytes,
            created_at=now,
            lifetime_seconds=lifetime_seconds,
        )
        self._uploads[upload.id] = upload
        return upload

    def get(self, upload_id: str, now: float) -> Upload:
        """An upload as it is now, or a `Refusal`."""
        upload = self._uploads.get(upload_id)
        if upload is None:
            raise Refusal.no_upload(upload_id)
        if upload.status == "pending" and now >= upload.expires_at:
            upload.end("expired")
        return upload

    def add_part(self, upload: Upload, blob: Blob) -> str:
        """One more part; its id."""
        upload.check_pending()
        so_far = sum(part.size for part in upload.parts.values())
        if so_far + blob.size > upload.size_bytes:
            message = (
                f"The parts of upload {upload.id} hold more bytes than the {upload.size_bytes} that were announced."
            )
            raise Refusal.invalid(message, param="data")
        part_id = self.names.new("part_")
        upload.parts[part_id] = blob
        return part_id

    @staticmethod
    def joined(upload: Upload, part_ids: list[str]) -> Content:
        """The parts in order, as one file of the size that was announced."""
        upload.check_pending()
        unknown = [one for one in part_ids if one not in upload.parts]
        if unknown:
            raise Refusal.invalid(f"No such Upload Part object: {unknown[0]}", param="part_ids")
        if len(set(part_ids)) != len(part_ids):
            raise Refusal.invalid("A part can stand in the file only once.", param="part_ids")
        content = Content(*(upload.parts[one] for one in part_ids))
        if content.size != upload.size_bytes:
            message = f"The parts hold {content.size} bytes, but {upload.size_bytes} were announced."
            raise Refusal.invalid(message, param="part_ids", code="size_mismatch")
        return content

    def close(self) -> None:
        """Let go of all parts."""
        for upload in self._uploads.values():
            upload.end(upload.status)
        self._uploads.clear()
