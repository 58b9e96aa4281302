"""Words that begin every text are told, and dates, numbers and codes are never taken for such words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import CompletionPrefix, PromptPrefix, Severity, validate
from finetune_kit.validators.affixes import shared_beginning
from tests.rows_of import completions

TOWNS = ("Oslo", "Rome", "Lima", "Cairo", "Delhi", "Tokyo", "Quito", "Paris", "Accra", "Minsk")


def told(*texts: str) -> list[str]:
    rows = completions(*((text, text) for text in texts))
    return [issue.message for issue in validate(rows, [PromptPrefix(), CompletionPrefix()]).issues]


def test_words_that_begin_all_texts_are_noted() -> None:
    assert told(*(f"The weather in {town} today" for town in TOWNS)) == [
        "every completion begins with 'The weather in '",
        "every prompt begins with 'The weather in '",
    ]


def test_they_end_where_a_word_ends() -> None:
    assert told(*(f"Opening times at St. {town}" for town in ("Mary", "Martin", "Magda", "Matt", "Max"))) == [
        "every completion begins with 'Opening times at St. '",
        "every prompt begins with 'Opening times at St. '",
    ]


def test_chinese_ends_a_phrase_with_its_own_punctuation() -> None:
    assert (
        told(*(f"您好,我想问一下天气:{town}" for town in TOWNS))[0]
        == "every completion begins with '您好,我想问一下天气:'"
    )
    assert told(*(f"亲爱的客户您想知道{word}" for word in ("天气", "天空", "天下", "天山", "天使"))) == []


@pytest.mark.parametrize(
    "texts",
    [
        [f"2024-01-{day:02}" for day in range(1, 11)],
        [f"10:{minute} Uhr" for minute in range(10, 20)],
        [f"ORDERNUMBER-{number}" for number in range(10)],
        [f"SKU-77-{town}" for town in TOWNS],
        [f"https://example.com/shop/{town}" for town in TOWNS],
        [f"1234567890123 {town}" for town in TOWNS],
        [f"antidisestablish{ending}" for ending in ("ment", "ed", "er", "es", "ing")],
        [f"customer.support.{town}@example.com" for town in TOWNS],
    ],
)
def test_dates_numbers_codes_and_parts_of_words_are_no_beginnings(texts: list[str]) -> None:
    assert told(*texts) == []


def test_one_row_that_begins_otherwise_and_there_is_nothing_to_say() -> None:
    assert told(*(f"The weather in {town} today" for town in TOWNS), "Is it raining?") == []


def test_a_row_that_lies_outside_the_sample_counts_too() -> None:
    pairs = [(f"q{number}", f"Answer: {number}") for number in range(5_000)]
    assert validate(completions(*pairs), [CompletionPrefix()]).counts == {"completion_prefix": 1}
    pairs[4_321] = ("q4321", "none")
    assert validate(completions(*pairs), [CompletionPrefix()]).issues == ()


@pytest.mark.parametrize("bare", ["Answer:", "Answer: "])
def test_a_completion_with_nothing_behind_it_is_a_warning(bare: str) -> None:
    rows = completions(*((town, f"Answer: {town}") for town in TOWNS), ("Bonn", bare))
    report = validate(rows, [CompletionPrefix()])
    assert [(issue.row, issue.severity) for issue in report.issues] == [(10, Severity.WARNING), (None, Severity.INFO)]


def test_equal_texts_have_no_beginning_but_all_of_it() -> None:
    assert told(*["The weather in Oslo today"] * 10) == []


@given(st.lists(st.text(max_size=12), min_size=1, max_size=8), st.text(max_size=12))
def test_what_is_found_begins_every_text(texts: list[str], beginning: str) -> None:
    texts = [beginning + text for text in texts]
    assert all(text.startswith(shared_beginning(texts)) for text in texts)
    if beginning.endswith(" "):
        assert shared_beginning(texts).startswith(beginning)
