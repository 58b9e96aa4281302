"""What an example asks is folded alike, one text at a time or many in one go."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._keys import all_folded, folded

MIXED = st.text("aZ \t\u3000\xa0\x85\u2009“”…，Ａｚ中文あカ한글éÉßſİΩ🙂𐐀ﬁ\0\x1c")


@given(st.lists(st.text() | MIXED, max_size=8))
def test_folded_together_as_one_by_one(texts: list[str]) -> None:
    assert all_folded(texts) == list(map(folded, texts))


def test_every_character_is_folded_as_python_does() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    assert all_folded(characters) == list(map(folded, characters))


@pytest.mark.parametrize("block", [range(0x3000, 0xA000), range(0xAC00, 0xD7A4), range(0xFF00, 0xFFF0)])
def test_scripts_without_letter_case_are_folded_as_python_does(block: range) -> None:
    """Alone each, so that no neighbour with letter case sends it another way."""
    for code in block:
        assert all_folded([chr(code)]) == [folded(chr(code))]


def test_letter_case_and_white_space_do_not_count() -> None:
    assert folded("Where IS\tmy parcel？") == folded("where is my\u3000parcel？")


def test_half_a_surrogate_pair_is_folded_too() -> None:
    assert all_folded(["a", "cut \ud83d"]) == [b"a", "cut\ud83d".encode("utf-8", "surrogatepass")]
