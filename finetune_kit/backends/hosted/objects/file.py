"""A stored file as a host sends it."""

from __future__ import annotations

from finetune_kit.backends.hosted.objects.values import UNKNOWN_MOMENT, count, members, moment, object_with_id, text
from finetune_kit.backends.hosted.texts import told
from finetune_kit.backends.protocol import FileState
from finetune_kit.records import JsonValue

_PURPOSE = "fine-tune"


def read_file(value: JsonValue) -> FileState:
    """A file's state; `HostReplyError` where it has no id."""
    found, file_id = object_with_id(value, "file")
    size = count(found.get("bytes"))
    reason = found.get("status_details")
    return FileState(
        id=file_id,
        filename=text(found.get("filename")) or "",
        size_bytes=(count(found.get("size")) or 0) if size is None else size,
        created_at=moment(found.get("created_at")) or UNKNOWN_MOMENT,
        status=(text(found.get("status"), limit=60) or "processed").casefold(),
        reason=told(reason, limit=1000) if isinstance(reason, str) else "",
    )


def is_training_file(value: JsonValue) -> bool:
    """Whether it was uploaded to train on; hosts with one purpose only may leave it out."""
    purpose = members(value).get("purpose")
    return purpose is None or purpose == _PURPOSE
