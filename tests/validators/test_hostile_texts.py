"""Texts made to wear out a rule about content are checked like any others: in time, and without an exception."""

from __future__ import annotations

import pytest

from finetune_kit.validators import validate
from tests.rows_of import chats, completions, conversation
from tests.validators.test_clean_rows import RULES

UNITS = (
    *("<a ", " <a href=", "&", "&a", "&#", "{{a", "[your ", "<your ", "[insert ", "`", "```", "TODO ", "xxx"),
    *("\u200d", "👩\u200d", "\U0001f3f4", "\U000e0041", "\xad", "\x00", "\\u0000", "\\", '"', "Ã", "Ã©", "\ufffd"),
    *("I'm sorry, but ", "抱歉，", "As an AI ", "作为", "1", "1 ", "+1-", "@", "a@", "a@b.", "a.b.", "DE89", "A1"),
    *("sk-", "eyJ", "password=", "密码", "x://y:", "-----BEGIN ", "PRIVATE KEY-----", "AKIA", "AA:", "SG."),
)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", UNITS)
def test_a_hundred_thousand_characters_of_it_take_no_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    for rows in (
        completions((text, "It is so."), ("What?", text)),
        chats(conversation(("user", text), ("assistant", text))),
    ):
        assert "validator_failed" not in validate(rows, RULES).counts
