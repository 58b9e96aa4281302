"""Multipart bodies read as they arrive, at the speed of a search in memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

from finetune_kit.testing.simulator.refusals import Refusal

_BOUNDARY = re.compile(r'multipart/form-data\s*;.*?boundary="?([^";,]{1,70})"?', re.IGNORECASE | re.DOTALL)
_PARAMETER = re.compile(r';\s*(\w+)="((?:[^"\\]|\\.)*)"')
_MOST_HEADER_BYTES = 16 << 10


class Sink(Protocol):
    """Takes the content of one part."""

    def write(self, data: memoryview, /) -> object:
        """Take some bytes, which are gone afterwards."""
        ...


class PartHead:
    """What stands above a part."""

    def __init__(self, raw: bytes) -> None:
        headers: dict[str, str] = {}
        for line in raw.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        found: list[tuple[str, str]] = _PARAMETER.findall(headers.get("content-disposition", ""))
        parameters = {name.lower(): re.sub(r"\\(.)", r"\1", value) for name, value in found}
        self.name = parameters.get("name", "")
        self.filename = parameters.get("filename")
        self.content_type = headers.get("content-type")


class FormReader:
    """Takes a body chunk by chunk; `open_part` says where the content of each part goes."""

    def __init__(self, content_type: str, open_part: Callable[[PartHead], Sink]) -> None:
        found = _BOUNDARY.match(content_type)
        if found is None:
            raise Refusal.invalid("The request's content type must be multipart/form-data with a boundary.")
        self._delimiter = b"\r\n--" + found[1].encode()
        self._open_part = open_part
        self._rest = b"\r\n"  # so that the first delimiter is found like all others
        self._sink: Sink | None = None
        self._in_head = False
        self._ended = False

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        data = self._rest + chunk
        place = 0
        while not self._ended:
            step = self._head(data, place) if self._in_head else self._content(data, place)
            if step is None:
                break
            place = step
        else:
            self._rest = b""

    def close(self) -> None:
        """Complain of a body that broke off."""
        if not self._ended:
            raise Refusal.invalid("The multipart body ends before its last boundary.")

    def _content(self, data: bytes, place: int) -> int | None:
        found = data.find(self._delimiter, place)
        mark_ends = found + len(self._delimiter)
        if found < 0 or mark_ends + 2 > len(data):
            # What may be the beginning of a delimiter waits for the next chunk.
            safe = max(place, len(data) - len(self._delimiter) - 1) if found < 0 else found
            self._write(data, place, safe)
            self._rest = data[safe:]
            return None
        self._write(data, place, found)
        self._sink = None
        if data[mark_ends : mark_ends + 2] == b"--":
            self._ended = True
        self._in_head = not self._ended
        return mark_ends + 2

    def _head(self, data: bytes, place: int) -> int | None:
        end = data.find(b"\r\n\r\n", place)
        if end < 0:
            if len(data) - place > _MOST_HEADER_BYTES:
                raise Refusal.invalid("The headers of a multipart part are too long.")
            self._rest = data[place:]
            return None
        self._sink = self._open_part(PartHead(data[place:end]))
        self._in_head = False
        return end + 4

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._sink is not None and end > start:
            self._sink.write(memoryview(data)[start:end])
