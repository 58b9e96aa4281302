"""An answer to very many questions is found in sets of free text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import RepeatedAnswers, validate
from tests.rows_of import chats, completions, conversation

STOCK = "Please contact our customer service by e-mail."


def answers(*texts: str) -> list[tuple[str, str]]:
    return [(f"question {number}", text) for number, text in enumerate(texts)]


def free(count: int) -> list[str]:
    return [f"This is the answer to question {number}, and to no other." for number in range(count)]


def test_one_answer_to_many_questions_is_a_warning_at_its_first_row() -> None:
    report = validate(completions(*answers(*free(500), *[STOCK] * 100)), [RepeatedAnswers()])
    [issue] = report.warnings
    assert (issue.row, issue.field) == (500, "completion")
    assert issue.message == "one answer is given to 100 different prompts, 17% of the examples"


def test_conversations_are_looked_at_by_their_last_answer() -> None:
    rows = chats(
        *(conversation(("user", question), ("assistant", text)) for question, text in answers(*free(80), *[STOCK] * 20))
    )
    [issue] = validate(rows, [RepeatedAnswers()]).issues
    assert (issue.row, issue.field) == (80, None)


def test_a_few_equal_answers_are_none() -> None:
    assert not validate(completions(*answers(*free(500), *[STOCK] * 20)), [RepeatedAnswers()]).issues
    assert not validate(completions(*answers(*free(20), *[STOCK] * 9)), [RepeatedAnswers()]).issues


def test_a_short_answer_may_be_given_often() -> None:
    assert not validate(completions(*answers(*free(500), *["yes"] * 100)), [RepeatedAnswers()]).issues


def test_a_repeated_question_does_not_count_again() -> None:
    pairs = [*answers(*free(100)), *[("What are your hours?", STOCK)] * 50]
    assert not validate(completions(*pairs), [RepeatedAnswers()]).issues


def test_long_labels_of_a_closed_set_are_meant() -> None:
    labels = [f"the customer wants to know this and that, case {number % 5}" for number in range(100)]
    assert not validate(completions(*answers(*labels)), [RepeatedAnswers()]).issues


def test_large_sets_are_looked_at_whole_where_a_sample_tells_to() -> None:
    texts = free(6_000)
    for row in range(1, 6_000, 16):
        texts[row] = STOCK
    [issue] = validate(completions(*answers(*texts)), [RepeatedAnswers()]).warnings
    assert (issue.row, issue.message) == (1, "one answer is given to 375 different prompts, 6% of the examples")
    assert not validate(completions(*answers(*texts)), [RepeatedAnswers(share=0.1)]).issues


def test_one_long_answer_to_everything_is_no_label() -> None:
    [issue] = validate(completions(*answers(*[STOCK] * 12)), [RepeatedAnswers()]).warnings
    assert "100%" in issue.message


@given(st.integers(0, 60), st.integers(0, 40))
def test_it_is_a_warning_from_a_share_and_a_number_on(others: int, repeats: int) -> None:
    report = validate(completions(*answers(*free(others), *[STOCK] * repeats)), [RepeatedAnswers(share=0.25)])
    rows = others + repeats
    closed = 1 < others + bool(repeats) <= rows // 3
    assert bool(report.warnings) == (repeats >= max(10, int(rows * 0.25)) and not closed)
