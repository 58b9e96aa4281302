"""Images are addresses or data URLs of files that hosts take."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import ImageParts
from tests.chats_of import ANSWER, JSON, USER, chat, found

# The first bytes of a PNG of one pixel; 2 is its colour type, RGB.
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00" + b"x" * 60
JPEG = b"\xff\xd8\xff\xe0" + b"x" * 60
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"x" * 60
URL = "messages[0].content[0].image_url.url"


def image(url: object, **more: object) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def data_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def issues(*parts: Any, rule: ImageParts | None = None) -> list[tuple[str, str | None, str]]:
    return found(rule or ImageParts(), chat(USER | {"content": list(parts)}, ANSWER))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/a.png",
        "HTTP://example.org/图.jpg?size=1",
        data_url(PNG),
        data_url(PNG[:25] + b"\x06" + PNG[26:]),
        data_url(PNG[:25]),
        data_url(JPEG, "image/jpeg"),
        data_url(JPEG, "image/jpg"),
        data_url(WEBP, "IMAGE/WEBP"),
        data_url(PNG, "image/png;charset=utf-8"),
    ],
)
def test_addresses_and_data_urls_are_right(url: str) -> None:
    assert issues(image(url), image(url, detail="low")) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("C:/chart.png", "an image is neither an http address nor a data URL"),
        ("", "an image is neither an http address nor a data URL"),
        ("s3://bucket/a.png", "an image is neither an http address nor a data URL"),
        ("https:///a.png", "an image is neither an http address nor a data URL"),
        (None, "the url of an image is null, not text"),
        ("data:image/png;base64", "a data URL that is cut or has no comma"),
        ("data:image/png,abc", "a data URL that is not in Base64"),
        (data_url(b"GIF89a" + b"x" * 60, "image/gif"), "an image of type 'image/gif', which hosts do not take"),
        ("data:image/png;base64,", "an image whose Base64 is not valid"),
        (data_url(PNG)[:-1], "an image whose Base64 is not valid"),
        (data_url(PNG).replace("A", "\n"), "an image whose Base64 is not valid"),
        (data_url(PNG).replace("A", "é"), "an image whose Base64 is not valid"),
        (data_url(PNG + b"x")[:-3] + "!==", "an image whose Base64 is not valid"),
        (data_url(PNG + b"xx")[:-2] + "!=", "an image whose Base64 is not valid"),
        (data_url(b"<html>" + b"x" * 60), "the data of an image are not PNG"),
        (data_url(b"RIFF\x24\x00\x00\x00WAVEfmt " + b"x" * 60, "image/webp"), "the data of an image are not WEBP"),
    ],
)
def test_each_fault_of_an_address_is_an_error(url: object, message: str) -> None:
    assert issues(image(url)) == [("error", URL, message)]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (JPEG, "image/png", "an image is JPEG, and its URL says PNG"),
        (PNG[:25] + b"\x03" + PNG[26:], "image/png", "an image has a palette or only shades of grey"),
    ],
)
def test_images_that_hosts_may_leave_out_are_a_warning(data: bytes, kind: str, message: str) -> None:
    assert issues(image(data_url(data, kind))) == [("warning", URL, message)]


def test_an_address_that_is_not_in_an_object_is_an_error() -> None:
    assert issues({"type": "image_url", "image_url": "https://example.org/a.png"}) == [
        ("error", "messages[0].content[0].image_url", "image_url is a text, not an object with a url")
    ]


def test_detail_is_one_of_three_words() -> None:
    assert issues(image("https://example.org/a.png", detail="ultra")) == [
        ("error", "messages[0].content[0].image_url.detail", "the detail of an image is 'ultra'")
    ]


def test_the_size_is_known_to_the_byte() -> None:
    exact = data_url(PNG + bytes((1 << 20) - len(PNG)))
    assert issues(image(exact), rule=ImageParts(max_bytes=1 << 20)) == []
    larger = data_url(PNG + bytes((1 << 20) - len(PNG) + 1))
    assert issues(image(larger), rule=ImageParts(max_bytes=1 << 20)) == [("error", URL, "an image is larger than 1 MB")]


def test_ten_images_are_allowed_and_eleven_are_not() -> None:
    part = image("https://example.org/a.png")
    assert issues(*[part] * 10) == []
    ten, one = (chat(USER | {"content": [part] * times}, ANSWER) for times in (10, 1))
    assert found(ImageParts(), ten, one) == []
    assert issues(*[part] * 11) == [("error", "messages", "there are more than 10 images in the example")]


@given(st.binary(min_size=1))
def test_whatever_base64_writes_is_valid_and_short_of_one_character_is_not(data: bytes) -> None:
    text = base64.b64encode(data).decode()
    wrong = "an image whose Base64 is not valid"
    assert wrong not in [message for _, _, message in issues(image(f"data:image/png;base64,{text}"))]
    assert wrong in [message for _, _, message in issues(image(f"data:image/png;base64,{text[:-1]}"))]


@given(JSON, JSON)
def test_nothing_raises(value: Any, other: Any) -> None:
    issues({"type": "image_url", "image_url": value}, image(value, detail=other), value, {"type": "image_url"})
    issues(image(f"data:{value}"), image(f"data:image/png;base64,{other}"))
