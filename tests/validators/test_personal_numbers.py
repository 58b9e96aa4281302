"""Numbers are known by their check digits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators.personal_numbers import is_card, is_iban, is_resident_id

# Numbers that issuers publish for tests.
CARDS = (
    *("4111111111111111", "4242424242424242", "4222222222222", "5555555555554444", "5105105105105100"),
    *("2223003122003222", "378282246310005", "6011111111111117", "30569309025904", "3530111333300000"),
    *("6200000000000005", "2200000000000004"),
)
# The examples of the registry of IBAN formats.
IBANS = (
    *("DE89370400440532013000", "GB29NWBK60161331926819", "FR1420041010050500013M02606", "NL91ABNA0417164300"),
    *("NO9386011117947", "BE68539007547034", "CH9300762011623852957", "ES9121000418450200051332"),
    *("IT60X0542811101000000123456", "PL61109010140000071219812874", "MT84MALT011000012345MTLCAST001S"),
)


@pytest.mark.parametrize("number", CARDS)
def test_cards_of_every_issuer_are_known(number: str) -> None:
    assert is_card(number)


@pytest.mark.parametrize(
    "number", ["4111111111111112", "41111111111111110", "1234567812345670", "0000000000000000", ""]
)
def test_other_numbers_are_no_cards(number: str) -> None:
    assert not is_card(number)


@given(st.sampled_from(CARDS), st.integers(0, 18), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed_on_a_card(number: str, place: int, more: int) -> None:
    place %= len(number)
    wrong = f"{number[:place]}{(int(number[place]) + more) % 10}{number[place + 1 :]}"
    assert not is_card(wrong)


def test_a_resident_id_has_a_province_a_birthday_and_a_check_digit() -> None:
    assert is_resident_id("11010519491231002X")
    assert is_resident_id("11010519491231002x")
    assert is_resident_id("440524188001010014") is False  # born in 1880
    assert not is_resident_id("110105194912310021")  # check digit
    assert not is_resident_id("99010519491231002X")  # province
    assert not is_resident_id("11010519491331002X")  # month
    assert not is_resident_id("1101051949123100２X")


@given(st.text("0123456789X", min_size=17, max_size=19))
def test_any_digits_can_be_asked(text: str) -> None:
    assert is_resident_id(text) in (True, False)
    assert not (is_card(text) and len(text) > 19)


@pytest.mark.parametrize("number", IBANS)
def test_ibans_of_many_countries_are_known(number: str) -> None:
    assert is_iban(number)


@given(st.sampled_from(IBANS), st.integers(2, 33), st.sampled_from("0123456789"))
def test_one_wrong_digit_is_always_noticed_in_an_iban(number: str, place: int, digit: str) -> None:
    place %= len(number)
    if number[place].isdigit() and number[place] != digit:
        assert not is_iban(number[:place] + digit + number[place + 1 :])


@pytest.mark.parametrize(
    "text", ["", "DE", "DE8937040044053201300", "XX89370400440532013000", "DE8937040044053201３000"]
)
def test_other_texts_are_no_ibans(text: str) -> None:
    assert not is_iban(text)
