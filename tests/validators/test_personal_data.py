"""Data about people are found, masked, and told apart from numbers and addresses that are nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given

from finetune_kit.records import ChatExample, JsonValue, Message
from finetune_kit.validators import PersonalData, Severity, validate
from finetune_kit.validators.personal_data import mails_in, numbers_in
from tests.found_by import found_by, issues_in, texts_with
from tests.rows_of import chats

MAIL, PHONE, CARD = "an e-mail address", "a phone number", "a payment card number"
RESIDENT, IBAN = "a Chinese resident identity number", "a bank account number (IBAN)"

FOUND = [
    (MAIL, "li.lei@mail.cn"),
    (MAIL, "ANNA.BERG@MAIL.DE"),
    (MAIL, "Anna_Berg+shop@post.mail-provider.co.uk"),
    (PHONE, "13800138000"),
    (PHONE, "138 0013 8000"),
    (PHONE, "138-0013-8000"),
    (PHONE, "+86 13800138000"),
    (PHONE, "+8613800138000"),
    (PHONE, "010-62345678"),
    (PHONE, "+49 (0)30 1234-5678"),
    (PHONE, "+44 7700 100000"),
    (PHONE, "+1 (212) 736-5000"),
    (PHONE, "(212) 736-5000"),
    (PHONE, "212-736-5000"),
    (PHONE, "1-212-736-5000"),
    (PHONE, "(555) 123-4567"),
    (PHONE, "555.123.4567"),
    (PHONE, "212 736 5000"),
    (CARD, "4111111111111111"),
    (CARD, "4111 1111 1111 1111"),
    (CARD, "3782-822463-10005"),
    (RESIDENT, "11010519491231002X"),
    (IBAN, "DE89 3704 0044 0532 0130 00"),
    (IBAN, "GB29NWBK60161331926819"),
    (IBAN, "NO93 8601 1117 947"),
]


@pytest.mark.parametrize(("what", "datum"), FOUND)
@pytest.mark.parametrize("around", ["{}", "It is {}.", "电话是{}，谢谢", "({})", '"{}"', "name,{}\nnext", "tel:{};"])
def test_each_kind_is_found_and_never_quoted(what: str, datum: str, around: str) -> None:
    text = around.format(datum)
    [issue] = issues_in(PersonalData(), "It is on its way.", text)
    assert (issue.row, issue.severity, issue.message) == (1, Severity.WARNING, f"the text holds {what}")
    assert issue.span is not None
    assert text[slice(*issue.span)] == datum
    assert issue.sensitive
    assert datum not in repr(issue)


@pytest.mark.parametrize(
    "text",
    [
        "me@example.com",
        "me@mail.example.org",
        "me@firm.example",
        "me@host.test",
        "root@localhost",
        "support@shop.com",
        "git@github.com:user/project.git",
        "no-reply@shop.com",
        "@somebody on GitHub",
        "a@b",
        "x = a @ b.c",
        "Show your ticket@kiosk.Valid until Monday",
        "price: 13,800,138,000",
        "3.14159265358979",
        "order 12345678",
        "2024-01-05 12:30:00",
        "1700000000000",
        "10.0.0.12:8080",
        "4111 1111 1111 1112",
        "1234567812345678",
        "110105194912310021",
        "call 1-800-736-5000",
        "400-820-8820",
        "(212) 555-0123",
        "DE89 3704 0044 0532 0130 01",
        "ISBN 978-3-16-148410-0",
        "item #13800138000",
        "https://shop.com/item/13800138000",
        "id_13800138000",
        "113800138000",
        "1 2 3 4 5 6 7 8 9 10 11 12",
        "1990-2020, 300-400, 12-15",
    ],
)
def test_what_is_nobodys_is_left_alone(text: str) -> None:
    assert not issues_in(PersonalData(), text)


def test_each_datum_of_a_text_is_found_so_that_all_are_masked() -> None:
    text = "li.lei@mail.cn, 13800138000, han@mail.cn"
    issues = issues_in(PersonalData(), text)
    assert [text[slice(*issue.span)] for issue in issues if issue.span] == text.split(", ")


@pytest.mark.parametrize("between", [" ", "/", " / ", "  "])
def test_numbers_side_by_side_are_told_apart(between: str) -> None:
    text = between.join(("13800138000", "13900139000", "2024"))
    issues = issues_in(PersonalData(), text)
    assert [text[slice(*issue.span)] for issue in issues if issue.span] == ["13800138000", "13900139000"]


def test_very_many_in_one_text_are_one_finding_that_masks_it_whole() -> None:
    [issue] = issues_in(PersonalData(), " ".join(f"user{number}@mail.cn" for number in range(5000)))
    assert issue.span is None
    assert issue.sensitive


def test_arguments_of_tool_calls_are_looked_at() -> None:
    call: JsonValue = {
        "id": "1",
        "type": "function",
        "function": {"name": "mail", "arguments": '{"to": "li.lei@mail.cn"}'},
    }
    turns = Message("user", "Write to him."), Message("assistant", None, {"tool_calls": [call]})
    [issue] = validate(chats(ChatExample(turns)), [PersonalData()]).issues
    assert issue.field == "messages[1].tool_calls[0].function.arguments"


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "@" * 50_000, "1" * 200_000, "1 " * 100_000, "a.b@" * 20_000, "DE89 " * 40_000]
)
@pytest.mark.timeout(20)
def test_long_texts_take_no_more_than_their_length(text: str) -> None:
    assert all(issue.sensitive for issue in issues_in(PersonalData(), text + " +" + "1" * 9))


@given(texts_with(*(datum for _, datum in FOUND), "@", "+", "12345678", "(", "-", ".", "me@example.com"))
def test_a_text_is_found_if_and_only_if_it_holds_any(text: str) -> None:
    assert found_by(PersonalData(), [text]) == [any(True for _ in (*mails_in(text), *numbers_in(text)))]
