"""Forms with files in them, received without ever being held in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_kit.testing.simulator.blob import Blob
from finetune_kit.testing.simulator.multipart import FormReader, PartHead, Sink
from finetune_kit.testing.simulator.refusals import Refusal
from finetune_kit.testing.simulator.wire import Call

_MOST_FIELD_BYTES = 64 << 10


@dataclass(slots=True)
class ReceivedFile:
    """A part with content."""

    filename: str
    content_type: str | None
    blob: Blob


@dataclass(slots=True)
class Form:
    """What came in one body."""

    fields: dict[str, str] = field(default_factory=dict[str, str])
    files: dict[str, ReceivedFile] = field(default_factory=dict[str, ReceivedFile])

    def close(self) -> None:
        """Let go of what nobody took."""
        for file in self.files.values():
            file.blob.close()


class _Field:
    def __init__(self) -> None:
        self.value = bytearray()

    def write(self, data: memoryview, /) -> None:
        if len(self.value) + len(data) > _MOST_FIELD_BYTES:
            raise Refusal.invalid("A field of the form is too long.", status=413)
        self.value += data


class _Limited:
    """A blob that takes only so much."""

    def __init__(self, blob: Blob, most_bytes: int) -> None:
        self._blob, self._most = blob, most_bytes

    def write(self, data: memoryview, /) -> None:
        if self._blob.size + len(data) > self._most:
            message = f"{self._most}: Maximum content size limit exceeded."
            raise Refusal.invalid(message, status=413)
        self._blob.write(data)


async def receive_form(call: Call, *, most_bytes: int) -> Form:
    """Read a form; the caller closes the files that it does not keep."""
    form = Form()
    texts: dict[str, _Field] = {}

    def open_part(head: PartHead) -> Sink:
        if head.filename is None:
            return texts.setdefault(head.name, _Field())
        file = ReceivedFile(head.filename, head.content_type, Blob())
        form.files[head.name] = file
        return _Limited(file.blob, most_bytes)

    reader = FormReader(call.headers.get("content-type", ""), open_part)
    try:
        async for chunk in call.chunks():
            reader.feed(chunk)
        reader.close()
    except BaseException:
        form.close()
        raise
    form.fields = {name: one.value.decode("utf-8", "replace") for name, one in texts.items()}
    return form
