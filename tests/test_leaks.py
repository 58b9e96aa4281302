"""What two sides share is counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._around import around
from finetune_kit._keys import prompt_key
from finetune_kit.leaks import find_leaks, leak_report
from finetune_kit.near import NEAR_ROWS
from finetune_kit.records import CompletionExample
from finetune_kit.rows import Rows
from tests.rows_of import chats, completions, conversation, many


def test_the_report_counts_equal_examples_and_equal_prompts_apart() -> None:
    training = completions(("a", "b"), ("c", "d"), ("e", "f"))
    report = leak_report(training, completions(("a", "b"), ("C", "x"), ("a", "b"), ("g", "h")))
    assert (report.exact, report.shared_prompts, report.ok) == (2, 1, False)
    assert report.summary() == (
        "Of 4 validation examples, 2 are also training examples, and 1 more have the prompt of one."
    )


POEM = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate. Rough winds do shake the buds."


def test_nearly_the_same_prompt_is_a_leak() -> None:
    report = leak_report(
        completions((POEM, "a"), ("c", "d")), completions((POEM + " yes", "b"), (POEM, "z"), ("new", "d"))
    )
    assert (report.exact, report.shared_prompts, report.template, report.near, report.ok) == (0, 1, 0, 1, False)
    assert report.summary() == (
        "Of 3 validation examples, 0 are also training examples, and 1 more have the prompt of one. "
        "1 more ask nearly the same as one."
    )
    alone = leak_report(completions((POEM, "a"), ("c", "d")), completions((POEM + " yes", "b")))
    assert alone.ok
    assert alone.summary() == (
        "Training and validation share no example and no prompt. 1 of 1 validation examples ask nearly the same as one."
    )


QUESTIONS = ("Where is my parcel?", "May I have my money back?", "When do you open?", "包裹什么时候能送到我家")


@pytest.mark.parametrize(
    ("training", "validation"),
    [
        ("{}", "{} ->"),
        ("{}\n\n###\n\n", "{}"),
        ("{} ->", "{}\n\n###\n\n"),
        ("Sort this message of a customer into one of twelve classes, please.\nMessage: {}\nClass:", "{}"),
        ("Question: {}", "请用一句话回答下面的问题。问题：{}"),
    ],
)
def test_a_prompt_is_known_again_without_the_text_around_it(training: str, validation: str) -> None:
    trained = completions(*((training.format(text), "a") for text in (*QUESTIONS, "Another question")))
    held_out = completions(*((validation.format(text), "b") for text in (*QUESTIONS[:2], "A question of its own")))
    leaks = list(find_leaks(trained, held_out, near=False))
    assert [(leak.training, leak.validation, leak.kind) for leak in leaks] == [(0, 0, "template"), (1, 1, "template")]
    report = leak_report(trained, held_out, near=False)
    assert "2 of 3 validation examples have the prompt of one but for the text around it" in report.summary()


def test_a_side_of_two_forms_is_seen_through() -> None:
    trained = completions(*((f"Question: {text}" if row % 2 else text, "a") for row, text in enumerate(QUESTIONS)))
    held_out = completions(*((f"Question: {text.upper()}", "b") for text in QUESTIONS))
    found = {leak.validation: leak.kind for leak in find_leaks(trained, held_out, near=False)}
    assert found == {0: "template", 1: "prompt", 2: "template", 3: "prompt"}


def test_another_system_message_hides_no_question() -> None:
    def asked(system: str) -> Rows:
        turns = (conversation(("system", system), ("user", text), ("assistant", "a")) for text in QUESTIONS)
        return chats(*turns)

    kinds = {leak.kind for leak in find_leaks(asked("You are kind."), asked("You are brief."), near=False)}
    assert kinds == {"template"}


def test_what_fills_a_form_alike_is_no_leak() -> None:
    trained = completions(*((f"Where is parcel {number}?", "a") for number in range(30)))
    held_out = completions(*((f"Cancel order {number}, please", "b") for number in range(9)))
    assert list(find_leaks(trained, held_out)) == []


@pytest.mark.parametrize("texts", [(), ("one prompt alone",), ("the same words",) * 3, ("", " ")])
def test_few_or_equal_prompts_have_nothing_around_them(texts: tuple[str, ...]) -> None:
    assert around(completions(*((text, "a") for text in texts))) == ("", "")


@given(
    st.lists(st.text("ab ?:", max_size=8), min_size=2, max_size=6),
    st.text("xy :", max_size=5),
    st.text("z >", max_size=4),
)
def test_what_stands_around_is_around_every_prompt(texts: list[str], before: str, behind: str) -> None:
    prompts = [before + text + behind for text in texts]
    found = around(completions(*((text, "a") for text in prompts)))
    assert all(text.startswith(found.before) and text.endswith(found.behind) for text in prompts if text.strip())


def test_near_duplicates_of_large_sides_are_looked_for_only_when_asked() -> None:
    training, validation = many(NEAR_ROWS), completions((POEM, "a"), ("Where is parcel 7 ?!", "b"))
    assert leak_report(training, validation).near is None
    assert leak_report(training, validation).summary().endswith("Nearly the same prompts were not looked for.")
    assert leak_report(training, validation, near=True).near == 1


def test_nothing_shared_is_said_too() -> None:
    report = leak_report(many(5), completions(("other", "b")))
    assert report.summary() == "Training and validation share no example and no prompt."


def test_a_prompt_is_known_again_by_its_words() -> None:
    key = prompt_key(CompletionExample("Where is\nmy  parcel?", ""))
    assert key == prompt_key(CompletionExample(" where IS my parcel?", "x"))
    assert key != prompt_key(CompletionExample("Where is my parcel", ""))
    assert prompt_key(CompletionExample(" \n", "x")) is None


def test_a_conversation_is_known_by_all_but_its_last_message() -> None:
    asked = (("system", "Be kind."), ("user", "Hi"))
    key = prompt_key(conversation(*asked, ("assistant", "Hello")))
    assert key == prompt_key(conversation(*asked, ("assistant", "Good day")))
    assert key != prompt_key(conversation(("user", "Hi"), ("assistant", "Hello")))


def test_a_prompt_with_a_lone_surrogate_has_a_key() -> None:
    assert prompt_key(CompletionExample("\ud800", "x")) is not None
