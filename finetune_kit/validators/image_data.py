"""Images that stand in a row itself, as data URLs."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from finetune_kit._quoting import quoted
from finetune_kit.validators.chat_turns import Fault
from finetune_kit.validators.issue import Severity

_HEAD = re.compile(r"data:([^;,]*)((?:;[^;,]*)*),", re.IGNORECASE)
_HEAD_LENGTH = 200
_FORMATS = {"image/jpeg": "JPEG", "image/jpg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_WRITTEN = "Write data:image/png;base64, and the file in Base64; JPEG, PNG and WEBP are taken."
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_RGB = (2, 6)
"""PNG's numbers for colours that are RGB, without and with transparency."""


def data_url_faults(url: str, field: str, max_bytes: int) -> Iterator[Fault]:
    """What is wrong with an image in a data URL; its text is looked at once, and only its first bytes are decoded."""
    head = _HEAD.match(url[:_HEAD_LENGTH])
    if head is None:
        yield Fault("a data URL that is cut or has no comma", field, _WRITTEN)
        return
    kind, options = head[1].lower(), head[2].lower()
    if kind not in _FORMATS:
        yield Fault(f"an image of type {quoted(kind)}, which hosts do not take", field, _WRITTEN)
    if not options.endswith(";base64"):
        yield Fault("a data URL that is not in Base64", field, _WRITTEN)
        return
    data = url[head.end() :]
    size = len(data) // 4 * 3 - data[-2:].count("=")
    if size > max_bytes:
        hint = "Make it smaller, or give its http address."
        yield Fault(f"an image is larger than {max_bytes >> 20} MB", field, hint)
    if not _is_base64(data):
        yield Fault("an image whose Base64 is not valid", field, "Encode the file again, without line ends.")
    elif kind in _FORMATS:
        yield from _judge_bytes(binascii.a2b_base64(data[:40]), _FORMATS[kind], field)


def _is_base64(data: str) -> bool:
    if not data or len(data) % 4 or not data.isascii():
        return False
    body = data.encode()
    if body.endswith(b"=="):
        body = body[:-2]
    elif body.endswith(b"="):
        body = body[:-1]
    return not body.translate(None, _ALPHABET)


def _judge_bytes(start: bytes, told: str, field: str) -> Iterator[Fault]:
    found = _format_of(start)
    if found is None:
        yield Fault(f"the data of an image are not {told}", field, "Encode the image file itself.")
    elif found != told:
        hint = f"Write image/{found.lower()} in the data URL."
        yield Fault(f"an image is {found}, and its URL says {told}", field, hint, Severity.WARNING)
    if found == "PNG" and len(start) > 25 and start[12:16] == b"IHDR" and start[25] not in _RGB:
        hint = "Convert it: hosts ask for RGB or RGBA."
        yield Fault("an image has a palette or only shades of grey", field, hint, Severity.WARNING)


def _format_of(start: bytes) -> str | None:
    if start.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    return "WEBP" if start.startswith(b"RIFF") and start[8:12] == b"WEBP" else None
