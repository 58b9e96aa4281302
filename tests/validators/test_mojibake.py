"""Damaged texts are named where they are damaged."""

from __future__ import annotations

import pytest
from hypothesis import given

from finetune_kit._damage import is_damaged
from finetune_kit.records import ChatExample, Message
from finetune_kit.validators import Mojibake, Severity, validate
from tests.found_by import found_by, issues_in, texts_with
from tests.rows_of import chats, completions


def test_lost_characters_are_a_warning_at_their_place() -> None:
    [issue] = issues_in(Mojibake(), "In the Römerstraße.", "In the R\ufffdmerstra\ufffde.")
    assert (issue.severity, issue.row, issue.field, issue.span) == (Severity.WARNING, 1, "completion", (8, 9))
    assert "U+FFFD" in issue.message


@pytest.mark.parametrize("word", ["café", "naïve", "“quoted”", "здравствуйте", "你好"])
def test_utf_8_read_as_another_encoding_is_found(word: str) -> None:
    garbled = word.encode().decode("cp1252", "replace").replace("\ufffd", "\x81")
    [issue] = issues_in(Mojibake(), f"He said {garbled}.")
    assert "garbled" in issue.message


@pytest.mark.parametrize("honest", ["café", "Â", "Ã", "30 °C", "â", "« Été »…", "“é”", "Ñ“", "你好。"])
def test_honest_accents_are_not_damage(honest: str) -> None:
    assert not issues_in(Mojibake(), honest)


def test_damage_outside_the_texts_is_found_too() -> None:
    turns = Message("user", "Hello", {"name": "J\ufffdrg"}), Message("assistant", "Hello")
    [issue] = validate(chats(ChatExample(turns)), [Mojibake()]).issues
    assert (issue.row, issue.field) == (0, None)


@given(texts_with("Ã©", "â€œ", "\ufffd", "ä½\xa0å¥½", "Â\xa0", "é", "“"))
def test_a_text_is_found_if_and_only_if_it_is_damaged(text: str) -> None:
    assert found_by(Mojibake(), [text]) == [is_damaged(text.encode())]


def test_characters_lost_and_then_read_as_gbk_are_found() -> None:
    rows = completions(("在吗?", "你好"), ("价格?", "共锟斤拷元"), ("锟是什么字?", "斤拷"))
    [issue] = validate(rows, [Mojibake()]).warnings
    assert (issue.row, issue.field, issue.span) == (1, "completion", (1, 4))
    assert issue.message == "characters were lost: 锟斤拷 stands in their place"
