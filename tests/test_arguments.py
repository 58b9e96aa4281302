"""Arguments of the wrong type or size are a `ParameterError` that names them."""

from __future__ import annotations

import sys
from fractions import Fraction

import pytest

from finetune_kit._arguments import checked_seed, number, string, whole_number
from finetune_kit.errors import ParameterError


class Whole:
    """A whole number of another library, as NumPy's are."""

    def __index__(self) -> int:
        return 4


class Array:
    """Has the methods of a number, and is none."""

    def __index__(self) -> int:
        raise TypeError("only arrays of one element")

    def __float__(self) -> float:
        raise TypeError("only arrays of one element")


class Unprintable:
    """Raises when it is shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "value",
    [10**5000, -(10**5000), "a" * 100_000, [0] * 100_000, Unprintable(), "\x1b[2J"],
    ids=["long", "negative", "text", "list", "unprintable", "escape"],
)
def test_whatever_is_passed_is_told_in_a_short_and_harmless_message(value: object) -> None:
    for check in (lambda: whole_number("n", value, 1, 4), lambda: number("n", value, 0, 1)):
        with pytest.raises(ParameterError, match=r"^n=.*: give a") as raised:
            check()
        assert len(str(raised.value)) < 200
        assert str(raised.value).isprintable()


def test_a_range_without_an_upper_end_names_none() -> None:
    with pytest.raises(ParameterError, match=r"^x=-1: give a number of at least 0\.$"):
        number("x", -1, 0, sys.float_info.max)


def test_whole_numbers_of_any_library_are_taken() -> None:
    assert whole_number("n", Whole(), 1, 4) == 4
    assert type(whole_number("n", 4, 1)) is int


@pytest.mark.parametrize("value", [0, 5, 4.0, "4", True, None, [4], Array(), float("nan")])
def test_other_than_whole_numbers_in_the_range_are_refused(value: object) -> None:
    with pytest.raises(ParameterError, match=r"^n=.*: give a whole number from 1 to 4") as raised:
        whole_number("n", value, 1, 4)
    assert raised.value.parameter == "n"


def test_numbers_of_any_library_are_taken() -> None:
    assert number("x", Fraction(1, 2), 0, 1) == 0.5
    assert type(number("x", 1, 0, 1)) is float


@pytest.mark.parametrize("value", [-0.1, 1.1, "0.5", True, None, [0.5], Array(), float("nan"), 10**400, 1j])
def test_other_than_numbers_in_the_range_are_refused(value: object) -> None:
    with pytest.raises(ParameterError, match=r"^x=.*: give a number from 0 to 1"):
        number("x", value, 0, 1)


@pytest.mark.parametrize("value", [b"a", None, 5, ["a"]])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(ParameterError, match=r"t is .*, not text"):
        string("t", value)


@pytest.mark.parametrize("value", [-1, 2**32, "1", 0.5])
def test_a_seed_is_one_that_every_generator_takes(value: object) -> None:
    assert checked_seed(None) is None
    assert checked_seed(2**32 - 1) == 2**32 - 1
    with pytest.raises(ParameterError, match="seed="):
        checked_seed(value)
