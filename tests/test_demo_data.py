"""What the shipped demo data promise: the counts, the languages, the founding question."""

from __future__ import annotations

import csv
import io
from collections import Counter
from importlib.resources import files
from itertools import combinations

import pytest

DEMO = files("finetune_kit.demo")
NAMES = ("support_en.csv", "support_zh.csv")
FOUNDING_QUESTION = "今天晚上吃什么好呢?"


def table(name: str) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a shipped CSV."""
    header, *rows = csv.reader(io.StringIO(DEMO.joinpath(name).read_text(encoding="utf-8"), newline=""), strict=True)
    return header, rows


def words(question: str) -> frozenset[str]:
    """The lower-case words of a question, without punctuation."""
    return frozenset(word.strip(".,?!\"'") for word in question.casefold().split())


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_utf8_without_bom_and_with_unix_line_ends(name: str) -> None:
    raw = DEMO.joinpath(name).read_bytes()
    assert not raw.startswith(b"\xef\xbb\xbf")
    assert b"\r" not in raw
    assert raw.decode("utf-8").endswith("\n")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_written_as_the_csv_module_would_write_it(name: str) -> None:
    header, rows = table(name)
    again = io.StringIO(newline="")
    csv.writer(again, lineterminator="\n").writerows([header, *rows])
    assert again.getvalue().encode() == DEMO.joinpath(name).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_two_trimmed_non_empty_cells(name: str) -> None:
    header, rows = table(name)
    assert all(len(row) == len(header) == 2 for row in rows)
    assert all(cell and cell == cell.strip() for row in rows for cell in row)


@pytest.mark.parametrize("name", NAMES)
def test_no_question_is_asked_twice(name: str) -> None:
    _, rows = table(name)
    assert len({question.casefold() for question, _ in rows}) == len(rows)


def test_the_english_set_has_twelve_intents_of_twenty_five_questions() -> None:
    header, rows = table("support_en.csv")
    assert header == ["question", "intent"]
    counts = Counter(intent for _, intent in rows)
    assert len(counts) == 12
    assert set(counts.values()) == {25}


def test_english_intents_are_snake_case_and_differ_in_their_first_word() -> None:
    _, rows = table("support_en.csv")
    intents = {intent for _, intent in rows}
    assert all(intent.replace("_", "").isalpha() and intent.islower() for intent in intents)
    assert len({intent.split("_")[0] for intent in intents}) == len(intents)


def test_english_questions_have_four_to_twenty_words() -> None:
    _, rows = table("support_en.csv")
    assert all(4 <= len(question.split()) <= 20 for question, _ in rows)


def test_no_two_english_questions_share_most_of_their_words() -> None:
    _, rows = table("support_en.csv")
    sets = {question: words(question) for question, _ in rows}
    close = [
        (one, other)
        for one, other in combinations(sets, 2)
        if len(sets[one] & sets[other]) / len(sets[one] | sets[other]) > 0.7
    ]
    assert close == []


def test_the_english_rows_are_shuffled() -> None:
    _, rows = table("support_en.csv")
    assert len({intent for _, intent in rows[:25]}) >= 8


def test_the_founding_question_is_in_the_chinese_set() -> None:
    _, rows = table("support_zh.csv")
    assert FOUNDING_QUESTION in {question for question, _ in rows}


def test_every_chinese_answer_belongs_to_two_questions() -> None:
    header, rows = table("support_zh.csv")
    assert header == ["问题", "答案"]
    counts = Counter(answer for _, answer in rows)
    assert len(counts) == 12
    assert set(counts.values()) == {2}


def test_chinese_answers_are_short_and_differ_from_their_first_character_on() -> None:
    _, rows = table("support_zh.csv")
    answers = {answer for _, answer in rows}
    assert all(8 <= sum("\u4e00" <= character <= "\u9fff" for character in answer) <= 16 for answer in answers)
    assert len({answer[0] for answer in answers}) == len(answers)


def test_chinese_punctuation_is_full_width_but_for_the_founding_question() -> None:
    _, rows = table("support_zh.csv")
    texts = [text for row in rows for text in row if text != FOUNDING_QUESTION]
    assert [text for text in texts if any(character.isascii() for character in text)] == []
