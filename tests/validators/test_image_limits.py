"""Only so many examples may have images."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import ImageLimits
from tests.chats_of import ANSWER, USER, chat, found

IMAGE = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
SEEN = chat(USER | {"content": [IMAGE, IMAGE]}, ANSWER)
READ = chat(USER, ANSWER)


def test_one_example_too_many_is_one_error_about_the_set() -> None:
    assert found(ImageLimits(most=3), *[SEEN] * 4, READ) == [
        ("error", None, "4 examples have images, more than the 3 that hosts take")
    ]


def test_examples_without_images_do_not_count() -> None:
    assert found(ImageLimits(most=3), *[SEEN] * 3, *[READ] * 500) == []


@given(st.lists(st.booleans(), min_size=1), st.integers(0, 5))
def test_the_error_comes_exactly_beyond_the_limit(seen: list[bool], most: int) -> None:
    assert bool(found(ImageLimits(most=most), *[SEEN if one else READ for one in seen])) == (sum(seen) > most)
