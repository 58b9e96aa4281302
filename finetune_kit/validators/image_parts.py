"""The images of one example."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeGuard

from finetune_kit._quoting import described, quoted
from finetune_kit.records import JsonValue
from finetune_kit.rows import Batch
from finetune_kit.validators.chat_turns import Fault, parts
from finetune_kit.validators.image_data import data_url_faults
from finetune_kit.validators.issue import Issue, Severity

_DETAILS = ("auto", "low", "high")
_IMAGE = 'Write {"type": "image_url", "image_url": {"url": "https://…"}}.'
_WEB = re.compile(r"https?://[^\s/]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImageParts:
    """An image is an http address or a data URL of a JPEG, PNG or WEBP file, and an example has a few of them.

    The limits are those of OpenAI's guide to fine-tuning on images: ten images an example, 10 MB each.

    Bad:  `{"type": "image_url", "image_url": "C:/chart.gif"}`
    Good: `{"type": "image_url", "image_url": {"url": "https://example.org/chart.png", "detail": "low"}}`
    """

    most: int = 10
    max_bytes: int = 10 << 20
    """Of a data URL, by its length; what an address leads to is not looked at."""

    code = "image_part"

    def check(self, batch: Batch) -> Iterable[Issue]:
        """One error for each image that hosts refuse, and for each example with too many."""
        every = batch.view(images)
        found = [
            fault.issue(self.code, row)
            for row, field, part in every
            for fault in self._judge(part, f"{field}.image_url")
        ]
        counts = Counter([row for row, _, _ in every] if len(every) > self.most else [])
        return found + [
            Issue(
                self.code,
                Severity.ERROR,
                f"there are more than {self.most} images in the example",
                row=row,
                field="messages" if batch.kind == "chat" else "input.messages",
                hint="Leave some out, or divide the conversation.",
            )
            for row, times in counts.items()
            if times > self.most
        ]

    def _judge(self, part: dict[str, JsonValue], field: str) -> Iterator[Fault]:
        image = part.get("image_url")
        if not isinstance(image, dict):
            what = "a text" if isinstance(image, str) else described(image)
            yield Fault(f"image_url is {what}, not an object with a url", field, _IMAGE)
            image = {"url": image}
        url = image.get("url")
        if not isinstance(url, str):
            if isinstance(part.get("image_url"), dict):
                yield Fault(f"the url of an image is {described(url)}, not text", f"{field}.url", _IMAGE)
        elif url[:5].lower() == "data:":
            yield from data_url_faults(url, f"{field}.url", self.max_bytes)
        elif not _WEB.match(url):
            hint = "Hosts cannot read your files: give an http address, or the file itself as a data URL."
            yield Fault("an image is neither an http address nor a data URL", f"{field}.url", hint)
        detail = image.get("detail", "auto")
        if detail not in _DETAILS:
            what = quoted(detail) if isinstance(detail, str) else described(detail)
            yield Fault(f"the detail of an image is {what}", f"{field}.detail", "It is auto, low or high.")


def is_image(part: JsonValue) -> TypeGuard[dict[str, JsonValue]]:
    """Whether a part of a content is an image."""
    return isinstance(part, dict) and part.get("type") == "image_url"


def images(batch: Batch) -> list[tuple[int, str, dict[str, JsonValue]]]:
    """The row, the place and the part, of each image; for `Batch.view`."""
    return [
        (row, f"{where}.content[{place}]", part)
        for row, where, _, content in batch.view(parts)
        for place, part in enumerate(content)
        if is_image(part)
    ]
