"""The calls about files."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from finetune_kit.records import JsonValue
from finetune_kit.testing.simulator import checking
from finetune_kit.testing.simulator.blob import Content
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.files import PURPOSES, StoredFile
from finetune_kit.testing.simulator.receiving import Form, ReceivedFile, receive_form
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Answer, Call, Handler, Reply, Stream, json_answer, list_answer

_MOST_FILES = 10_000
_STREAMED_FROM_BYTES = 1 << 20


class FileRoutes:
    """`/files`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Each by its method and path."""
        return {
            ("POST", "/files"): self.create,
            ("GET", "/files"): self.list,
            ("GET", "/files/{file_id}"): self.retrieve,
            ("DELETE", "/files/{file_id}"): self.delete,
            ("GET", "/files/{file_id}/content"): self.content,
        }

    async def create(self, call: Call) -> Reply:
        """Receive a file."""
        desk = self._desk
        form = await receive_form(call, most_bytes=desk.flavour.max_file_bytes)
        try:
            file, purpose = self._checked(form)
        except Refusal:
            form.close()
            raise
        with desk.lock:
            stored = keep_file(
                desk, Content(file.blob), file.filename, purpose, lifetime_seconds=_lifetime(form.fields)
            )
            return json_answer(stored.as_json(desk.now()))

    async def list(self, call: Call) -> Reply:
        """Files, the newest first unless asked otherwise."""
        desk = self._desk
        limit = call.limit(default=_MOST_FILES, most=_MOST_FILES)
        order = checking.one_of(call.query.get("order", "desc"), ("asc", "desc"), param="order")
        purpose, after = call.query.get("purpose"), call.query.get("after")
        with desk.lock:
            now = desk.now()
            files = [file for file in desk.files.all(now) if purpose in (None, file.purpose)]
            if order == "desc":
                files.reverse()
            if after is not None:
                places = [place for place, file in enumerate(files, 1) if file.id == after]
                if not places:
                    raise Refusal.no_file(after)
                files = files[places[0] :]
            page = files[:limit]
            items = [orjson.dumps(file.as_json(now)) for file in page]
        ends = (page[0].id, page[-1].id) if page else ("", "")
        return list_answer(items, has_more=len(files) > limit, ends=ends)

    async def retrieve(self, call: Call) -> Reply:
        """One file."""
        with self._desk.lock:
            now = self._desk.now()
            return json_answer(self._desk.files.get(call.names["file_id"], now).as_json(now))

    async def delete(self, call: Call) -> Reply:
        """Forget a file."""
        with self._desk.lock:
            file = self._desk.files.get(call.names["file_id"], self._desk.now())
            self._desk.files.delete(file.id)
        return json_answer({"object": "file", "id": file.id, "deleted": True})

    async def content(self, call: Call) -> Reply:
        """The bytes."""
        with self._desk.lock:
            file = self._desk.files.get(call.names["file_id"], self._desk.now())
        if file.content.size > _STREAMED_FROM_BYTES:
            return Stream(file.content.blocks(), "application/octet-stream", length=file.content.size)
        return Answer(file.content.read(), content_type="application/octet-stream")

    def _checked(self, form: Form) -> tuple[ReceivedFile, str]:
        purpose = check_purpose(form.fields.get("purpose"))
        file = form.files.get("file")
        if file is None:
            raise Refusal.invalid("'file' is a required property", param="file")
        if self._desk.flavour.azure and file.content_type is None:
            raise Refusal.invalid("The file part of the form has no content type.", code="invalidPayload")
        check_file(Content(file.blob), file.filename, purpose, self._desk)
        return file, purpose


def check_purpose(purpose: str | None) -> str:
    """One of those there are."""
    if purpose is None:
        raise Refusal.invalid("'purpose' is a required property", param="purpose")
    return checking.one_of(purpose, PURPOSES, param="purpose")


def check_file(content: Content, filename: str, purpose: str, desk: Desk) -> None:
    """What the host says at once of a file that it cannot use."""
    if content.size == 0:
        raise Refusal.invalid("File is empty.", param="file", code="empty_file")
    if purpose != "fine-tune":
        return
    if not filename.lower().endswith(".jsonl"):
        raise Refusal.invalid("Invalid file format for Fine-Tuning API. Must be .jsonl", param="file")
    if desk.flavour.byte_order_mark and not content.marked():
        message = "The file must be encoded in UTF-8 with a byte-order mark (BOM)."
        raise Refusal.invalid(message, param="file", code="invalidPayload")


def keep_file(
    desk: Desk, content: Content, filename: str, purpose: str, *, lifetime_seconds: float | None
) -> StoredFile:
    """A file that has arrived, to be processed."""
    now = desk.now()
    processing = desk.pace.processing_seconds
    ready_at = now + processing if processing else 0.0  # at once, even if the clock goes back
    return desk.files.add(
        content, filename=filename, purpose=purpose, now=now, ready_at=ready_at, lifetime_seconds=lifetime_seconds
    )


def _lifetime(fields: Mapping[str, str]) -> float | None:
    """`expires_after`, as forms send it."""
    seconds = fields.get("expires_after[seconds]")
    if seconds is None:
        return None
    return check_lifetime(int(seconds) if seconds.isdecimal() else seconds)


def check_lifetime(seconds: JsonValue) -> float:
    """An hour at least, thirty days at most."""
    return checking.integer(seconds, param="expires_after.seconds", least=3600, most=2_592_000)
