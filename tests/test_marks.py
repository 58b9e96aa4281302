"""What stands around the rows of a prepared file is found, and stays there to the letter."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit import CompletionExample, Dataset, PromptTemplate
from finetune_kit._marks import found_template, misfit, taken_off
from finetune_kit.formats import rendered_lines
from finetune_kit.rows import Rows

QUESTIONS = ("Where is my parcel?", "Can I pay cash", "几点开门?", "A table for two", "有停车场吗", "Lost card")
ANSWERS = ("At your neighbour's.", "Yes", "早十点", "Until 10 pm", "有的,免费。", "Call us!")
PIECES = ["a", "b", "好", " ", "\n", "END", " END", "->", " ->", "\n\n###\n\n", "#", "yes", "?"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=5).map("".join)


def rows_of(*pairs: tuple[str, str]) -> Rows:
    return Dataset.from_records([CompletionExample(*pair) for pair in pairs]).rows


def marked(separator: str, stop: str, space: str = " ") -> Rows:
    pairs = zip(QUESTIONS, ANSWERS, strict=True)
    return rows_of(*((f"{question}{separator}", f"{space}{answer}{stop}") for question, answer in pairs))


@pytest.mark.parametrize(
    "separator", [" ->", "->", "\n\n###\n\n", "\n###\n", "\n\n===\n\n", " =>", "\nAgent:", "\n\n答:"]
)
@pytest.mark.parametrize("stop", [" END", "END", "\n", "###", " [END]", "<END>", "***", "\n\n"])
@pytest.mark.parametrize("space", [" ", ""])
def test_common_marks_are_found(separator: str, stop: str, space: str) -> None:
    template = found_template([marked(separator, stop, space)])
    assert template == PromptTemplate(separator=separator, stop=stop, leading_space=bool(space))


def test_plain_rows_have_none() -> None:
    assert found_template([marked("", "", "")]) == PromptTemplate(separator="", stop="", leading_space=False)


def test_labels_that_end_alike_are_no_stop_sequence() -> None:
    rows = rows_of(*((f"review {n} ->", f" {('posi', 'nega')[n % 2]}tive") for n in range(10)))
    assert found_template([rows]) == PromptTemplate(separator=" ->", stop="", leading_space=True)


def test_a_word_that_ends_in_end_is_no_stop_sequence() -> None:
    rows = rows_of(*((f"{n}?", f"{n} WEEKEND") for n in range(10)))
    assert found_template([rows]).stop == ""


def test_a_mark_that_one_row_of_the_validation_file_lacks_is_none() -> None:
    template = found_template([marked(" ->", " END"), rows_of(("no separator", " a"))])
    assert template == PromptTemplate(separator="", stop="", leading_space=True)


def test_a_stop_sequence_that_stands_within_an_answer_is_none() -> None:
    template = found_template([marked(" ->", "\n"), rows_of(("two lines ->", " one\ntwo\n"))])
    assert template == PromptTemplate(separator=" ->", stop="", leading_space=True)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8), st.sampled_from(PIECES), st.sampled_from(PIECES))
def test_rows_are_sent_as_they_were(pairs: list[tuple[str, str]], separator: str, stop: str) -> None:
    pairs = [(f"{prompt}{separator}", f"{completion}{stop}") for prompt, completion in pairs]
    rows = rows_of(*pairs)
    template = found_template([rows])
    sent = [json.loads(line) for line in rendered_lines(taken_off(rows, template), template)]
    assert [(row["prompt"], row["completion"]) for row in sent] == pairs
    assert misfit(template, [rows]) is None


def test_a_row_without_the_marks_of_an_earlier_model_is_named() -> None:
    template = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
    odd = misfit(template, [marked(" ->", "\n"), rows_of(("a ->", " b"))])
    assert odd is not None
    assert (odd.prompt, odd.completion) == ("a ->", " b")
