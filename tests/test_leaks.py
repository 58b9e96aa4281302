"""What two sides share is counted."""

from __future__ import annotations

from finetune_kit._keys import prompt_key
from finetune_kit.leaks import leak_report
from finetune_kit.records import CompletionExample
from tests.rows_of import completions, conversation, many


def test_the_report_counts_equal_examples_and_equal_prompts_apart() -> None:
    training = completions(("a", "b"), ("c", "d"), ("e", "f"))
    report = leak_report(training, completions(("a", "b"), ("C", "x"), ("a", "b"), ("g", "h")))
    assert (report.exact, report.shared_prompts, report.ok) == (2, 1, False)
    assert report.summary() == (
        "Of 4 validation examples, 2 are also training examples, and 1 more have the prompt of one."
    )


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
