"""What validation shares with training is named on both sides."""

from __future__ import annotations

from finetune_kit.validators import Report, check_disjoint
from tests.rows_of import chats, completions, conversation

TRAINING = completions(("hours?", "9 to 5"), ("where?", "here"), path="train.csv")


def test_a_shared_example_is_an_error_that_names_both_rows() -> None:
    report = Report.collect(check_disjoint(TRAINING, completions(("who?", "we"), ("where?", "here"), path="valid.csv")))
    [issue] = report.errors
    assert (issue.code, issue.row, issue.related) == ("leak", 1, 1)
    assert "valid.csv row 3 like train.csv row 3" in report.summary()


def test_a_shared_prompt_is_a_warning() -> None:
    [issue] = check_disjoint(TRAINING, completions(("  HOURS? ", "10 to 6")))
    assert (issue.code, issue.severity, issue.row, issue.related) == ("shared_prompt", "warning", 0, 0)


def test_shared_completions_and_empty_prompts_are_no_leak() -> None:
    assert not list(check_disjoint(TRAINING, completions(("when?", "9 to 5"))))
    assert not list(check_disjoint(completions(("", "a")), completions(("", "b"))))


def test_a_system_prompt_that_all_share_is_no_leak() -> None:
    system = ("system", "You are kind.")
    training = chats(conversation(system, ("user", "hi"), ("assistant", "hello")))
    unprompted = conversation(system, ("assistant", "a"))
    other = chats(conversation(system, ("user", "bye"), ("assistant", "hello")), unprompted)
    same = chats(conversation(system, ("user", "Hi"), ("assistant", "good day")))
    assert not list(check_disjoint(training, other))
    assert [issue.code for issue in check_disjoint(training, same)] == ["shared_prompt"]


def test_a_question_is_known_again_without_its_separator_and_with_other_words() -> None:
    long = "I ordered a pair of shoes a week ago and the parcel has still not come to my door"
    training = completions((long, "a"), ("Is the shop open?", "b"), ("Is it far?", "c"), path="train.csv")
    held_out = completions(
        ("Is the shop open? ->", "x"), ("Hello ->", "y"), (f"{long}, sorry ->", "z"), path="valid.csv"
    )
    found = [(issue.code, issue.severity, issue.row, issue.related) for issue in check_disjoint(training, held_out)]
    assert found == [("template_leak", "warning", 0, 1), ("near_leak", "warning", 2, 0)]
    assert [issue.code for issue in check_disjoint(training, held_out, near=False)] == ["template_leak"]
