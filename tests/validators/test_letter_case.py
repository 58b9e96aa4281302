"""Capitals are told where texts are written in them, and not where they are names, labels or codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import LetterCase, validate
from tests.rows_of import completions


def fields(*texts: str) -> list[str | None]:
    return [issue.field for issue in validate(completions(*((text, text) for text in texts)), [LetterCase()]).warnings]


def test_texts_in_capitals_are_told() -> None:
    assert fields("WHERE IS MY PARCEL?", "GIVE ME MY MONEY back") == ["prompt", "completion"]


@pytest.mark.parametrize(
    "texts",
    [
        ["Where is my parcel?", "GIVE me MY money"],
        ["SPAM", "HAM", "NOT_SPAM"],
        ["AB-1234", "CD-5678 XL", "X 17 B"],
        ["我想买一张 ABC DEF 的票,请问在哪里可以买到呢", "请给我 OK BYE 吧,谢谢您的帮助和理解"],
        ["ما هي ساعات العمل في BBC NEWS اليوم يا صديقي العزيز"],
        ["", " ", "!?"],
    ],
)
def test_names_labels_codes_and_scripts_without_letter_case_are_not(texts: list[str]) -> None:
    assert fields(*texts) == []


def test_each_side_is_judged_alone() -> None:
    rows = completions(("Shout this: hello you", "HELLO YOU"), ("Shout this: good night", "GOOD NIGHT"))
    [issue] = validate(rows, [LetterCase()]).issues
    assert (issue.field, issue.row) == ("completion", None)


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_no_text_in_small_letters_is_told(texts: list[str]) -> None:
    small = [text.encode(errors="ignore").decode().lower() for text in texts]
    lowered = ["".join(char for char in text if not char.isupper()) for text in small]
    assert fields(*lowered) == []
