"""Forms are read the same however they are cut into chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.testing.simulator.multipart import FormReader, PartHead
from finetune_kit.testing.simulator.refusals import Refusal

BOUNDARY = "----limit"
TYPE = f'multipart/form-data; boundary="{BOUNDARY}"'
# What is most easily taken for a delimiter.
CONTENT = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n--", b"\r\n------limi", b"x", b"\x00"])).map(
    b"".join
)


class Collected:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.value = b""

    def write(self, data: memoryview, /) -> None:
        self.value += bytes(data)


def body_of(*contents: bytes) -> bytes:
    parts = [
        b'--%b\r\nContent-Disposition: form-data; name="p%d"; filename="f.jsonl"\r\nContent-Type: a/b\r\n\r\n%b\r\n'
        % (BOUNDARY.encode(), place, content)
        for place, content in enumerate(contents)
    ]
    return b"".join(parts) + b"--" + BOUNDARY.encode() + b"--\r\n"


def read(body: bytes, sizes: list[int]) -> list[tuple[PartHead, bytes]]:
    found: list[tuple[PartHead, Collected]] = []

    def open_part(head: PartHead) -> Collected:
        found.append((head, Collected()))
        return found[-1][1]

    reader = FormReader(TYPE, open_part)
    place = 0
    for size in sizes:
        reader.feed(body[place : place + size])
        place += size
    reader.feed(body[place:])
    reader.close()
    return [(head, content.value) for head, content in found]


@given(st.lists(CONTENT, min_size=1, max_size=3), st.lists(st.integers(1, 40), max_size=30))
def test_parts_come_out_as_they_went_in(contents: list[bytes], sizes: list[int]) -> None:
    found = read(body_of(*contents), sizes)
    assert [content for _, content in found] == contents
    assert [(head.name, head.filename, head.content_type) for head, _ in found] == [
        (f"p{place}", "f.jsonl", "a/b") for place in range(len(contents))
    ]


@given(st.integers(0, 200))
def test_a_body_that_breaks_off_is_refused(kept: int) -> None:
    body = body_of(b"0123456789")
    with pytest.raises(Refusal, match="ends before"):
        read(body[: min(kept, len(body) - 4)], [])


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", ""])
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(Refusal, match="boundary"):
        FormReader(content_type, lambda _: Collected())


def test_endless_headers_are_refused() -> None:
    with pytest.raises(Refusal, match="too long"):
        read(b"--" + BOUNDARY.encode() + b"\r\n" + b"x: y\r\n" * 10_000, [])
