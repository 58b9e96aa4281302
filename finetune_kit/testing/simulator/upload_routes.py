"""The calls about uploads in parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from finetune_kit.testing.simulator import checking
from finetune_kit.testing.simulator.desk import Desk
from finetune_kit.testing.simulator.file_routes import check_file, check_lifetime, check_purpose, keep_file
from finetune_kit.testing.simulator.receiving import receive_form
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.uploads import UploadShelf
from finetune_kit.testing.simulator.wire import Call, Handler, JsonObject, Reply, json_answer

_UPLOAD = "/uploads/{upload_id}"


class UploadRoutes:
    """`/uploads`."""

    def __init__(self, desk: Desk, shelf: UploadShelf) -> None:
        self._desk, self._shelf = desk, shelf

    def handlers(self) -> Mapping[tuple[str, str], Handler]:
        """Each by its method and path."""
        if self._desk.flavour.max_upload_bytes is None:
            return {}
        return {
            ("POST", "/uploads"): self.create,
            ("POST", f"{_UPLOAD}/parts"): self.add_part,
            ("POST", f"{_UPLOAD}/complete"): self.complete,
            ("POST", f"{_UPLOAD}/cancel"): self.cancel,
        }

    async def create(self, call: Call) -> Reply:
        """Begin."""
        body = await call.json()
        most = self._desk.flavour.max_upload_bytes or 0
        filename, mime_type = checking.needed_text(body, "filename"), checking.needed_text(body, "mime_type")
        size = checking.integer(body.get("bytes"), param="bytes", least=1, most=most)
        purpose = check_purpose(checking.text(body, "purpose"))
        lifetime = _lifetime(body)
        with self._desk.lock:
            now = self._desk.now()
            upload = self._shelf.create(
                filename=filename,
                mime_type=mime_type,
                purpose=purpose,
                size_bytes=size,
                lifetime_seconds=lifetime,
                now=now,
            )
            return json_answer(upload.as_json(now))

    async def add_part(self, call: Call) -> Reply:
        """One more part."""
        upload_id = call.names["upload_id"]
        with self._desk.lock:
            self._shelf.get(upload_id, self._desk.now()).check_pending()
        form = await receive_form(call, most_bytes=self._desk.flavour.max_part_bytes)
        try:
            part = form.files.get("data")
            if part is None or part.blob.size == 0:
                raise Refusal.invalid("Missing required parameter: 'data'.", param="data")
            with self._desk.lock:
                now = self._desk.now()
                part_id = self._shelf.add_part(self._shelf.get(upload_id, now), part.blob)
        except Refusal:
            form.close()
            raise
        told: JsonObject = {"object": "upload.part", "id": part_id, "created_at": int(now), "upload_id": upload_id}
        return json_answer(told)

    async def complete(self, call: Call) -> Reply:
        """Make a file of the parts."""
        body = await call.json()
        part_ids = body.get("part_ids")
        if not isinstance(part_ids, list) or not part_ids:
            raise checking.wrong_type("part_ids", "a non-empty array", part_ids)
        md5 = checking.text(body, "md5")
        desk = self._desk
        with desk.lock:
            upload = self._shelf.get(call.names["upload_id"], desk.now())
            content = self._shelf.joined(upload, [str(one) for one in part_ids])
        if md5 is not None and md5.lower() != await asyncio.to_thread(content.md5):
            raise Refusal.invalid("The MD5 checksum of the file is another than was given.", param="md5")
        with desk.lock:
            upload.check_pending()
            check_file(content, upload.filename, upload.purpose, desk)
            upload.file = keep_file(
                desk, content, upload.filename, upload.purpose, lifetime_seconds=upload.lifetime_seconds
            )
            upload.end("completed")
            return json_answer(upload.as_json(desk.now()))

    async def cancel(self, call: Call) -> Reply:
        """Give up."""
        with self._desk.lock:
            now = self._desk.now()
            upload = self._shelf.get(call.names["upload_id"], now)
            upload.check_pending()
            upload.end("cancelled")
            return json_answer(upload.as_json(now))


def _lifetime(body: JsonObject) -> float | None:
    given = checking.mapping(body.get("expires_after"), param="expires_after")
    return check_lifetime(given.get("seconds")) if given else None
