"""Damage that a text had before it came here is seen, and honest text is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import Dataset
from finetune_kit._damage import is_damaged, may_be_damaged
from finetune_kit.records import CompletionExample
from finetune_kit.rows import DAMAGED, RowsBuilder

HONEST = (
    "今天晚上吃什么好呢?",
    "naïve café, élève, Größe, Ænima, señor, Ñandú",
    "Er rief: „Das macht Spaß“, und ging.",
    "« Voilà », dit-il: «à côté»…",
    "Ô… quel bruit",
    "Привет, как дела?",
    "plain ASCII",
)


@pytest.mark.parametrize("text", HONEST)
def test_honest_text_is_not_called_damaged(text: str) -> None:
    assert not is_damaged(text.encode())


@pytest.mark.parametrize("text", ["café", "“quoted”", "今天晚上吃什么", "Привет", "10\xa0€", "señor"])
@pytest.mark.parametrize("misread_as", ["cp1252", "latin-1"])
def test_utf_8_read_as_western_is_called_damaged(text: str, misread_as: str) -> None:
    wrong = "".join(bytes([byte]).decode(misread_as, "ignore") or chr(byte) for byte in text.encode())
    assert is_damaged(f"A text: {wrong}!".encode())


def test_a_replacement_character_is_damage() -> None:
    assert is_damaged("caf\ufffd".encode())


@given(st.text())
def test_the_quick_look_misses_nothing(text: str) -> None:
    raw = text.encode("utf-8", "surrogatepass")
    assert may_be_damaged(raw, [text]) or not is_damaged(raw)


def test_rows_remember_it() -> None:
    builder = RowsBuilder("completion")
    builder.add_pairs(["a", "b", "c"], ["fine", "cafÃ©", "caf\ufffd"], lines=[1, 2, 3])
    builder.add(CompletionExample("cafÃ©", "x"), line=4)
    assert [bool(flags & DAMAGED) for flags in builder.build().flags()] == [False, True, True, True]


def test_damaged_rows_are_told_when_they_are_read() -> None:
    data = Dataset.from_records([("caf\u00e9", "a"), ("caf\u00c3\u00a9", "b"), ("caf\ufffd", "c"), ("d", "e")])
    assert len(data) == 4
    (note,) = data.source.notes
    assert note.startswith("2 rows hold characters that were lost")
    assert "first in record 2" in note


def test_honest_rows_are_read_without_a_note() -> None:
    assert Dataset.from_records([(text, "a") for text in HONEST]).source.notes == ()
