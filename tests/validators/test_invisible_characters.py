"""Invisible characters are found where they are too much, and left where a script or an emoji needs them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given

from finetune_kit.validators import InvisibleCharacters
from finetune_kit.validators.invisible_characters import too_much
from tests.found_by import found_by, issues_in, texts_with


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("par\u200bcel", "a zero-width character"),
        ("par\u200dcel", "a zero-width character"),
        ("par\u200ccel", "a zero-width character"),
        ("par\u2060cel", "a zero-width character"),
        ("包\u200b裹", "a zero-width character"),
        ("\ufeffparcel", "a byte-order mark inside the text"),
        ("par\xadcel", "a soft hyphen"),
        ("abc\u202ecba", "an invisible mark of writing direction"),
        ("if admin\u2066 // user\u2069", "an invisible mark of writing direction"),
        ("parcel\u200e", "an invisible mark of writing direction"),
        ("parcel\U000e0041\U000e0042", "hidden text, written in characters that nobody sees"),
        ("a\U000e0100\U000e0150\U000e0160", "hidden text, written in characters that nobody sees"),
        ("👍\u200d", "a zero-width character"),
        ("שלום\u202e", "an invisible mark of writing direction"),
    ],
)
def test_invisible_characters_are_named(text: str, what: str) -> None:
    [issue] = issues_in(InvisibleCharacters(), "parcel", text)
    assert (issue.row, issue.message) == (1, f"the text holds {what}")
    assert issue.span is not None
    assert {unicodedata.category(char) for char in text[slice(*issue.span)]} <= {"Cf", "Mn"}


@pytest.mark.parametrize(
    "text",
    [
        "👩\u200d🔧 👨\u200d👩\u200d👧 🏳\ufe0f\u200d🌈 ❤\ufe0f\u200d🔥 🧑🏽\u200d💻",
        "1\ufe0f\u20e3 ☎\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "می\u200cخواهم",  # Persian
        "क\u094d\u200dष ക\u0d4d\u200c",  # Hindi, Malayalam
        "ภาษา\u200bไทย",
        "שלום \u200fabc\u200e",
        "\u2067שלום\u2069",
        "葛\U000e0100城市",  # a variant of the character
        "a\xa0b\u3000c\u2003d",
        "“quoted” — and … so on",
    ],
)
def test_scripts_and_emoji_keep_what_they_need(text: str) -> None:
    assert not issues_in(InvisibleCharacters(), text)


@given(texts_with("\u200b", "\u200d", "👩", "\xad", "\ufeff", "\u202e", "ش", "\U000e0041", "\U000e0100", "\u061c", "…"))
def test_a_text_is_found_if_and_only_if_something_in_it_is_too_much(text: str) -> None:
    assert found_by(InvisibleCharacters(), ["x", text]) == [False, any(True for _ in too_much(text))]
