"""A report counts everything, keeps a part, and reads well."""

from __future__ import annotations

import pickle

import pytest

from finetune_kit.errors import ValidationError
from finetune_kit.rows import Origin
from finetune_kit.validators import (
    ESSENTIAL,
    Contradictions,
    Duplicates,
    EmptyPrompt,
    Issue,
    Report,
    Severity,
    validate,
)
from tests.rows_of import chats, completions, conversation, many

FEW = (*ESSENTIAL, EmptyPrompt(), Duplicates(), Contradictions())

GOLDEN = """\
10,004 examples checked: 3 errors, 10,002 warnings
error empty_completion: the completion is empty or only white space (3 times: support.csv row 4, row 5, row 6)
    Write the answer that the model should give, or drop the row.
warning contradiction: the prompt has another completion in an earlier example (support.csv row 3 like row 2)
    Keep the right one, or say in the prompts what makes them differ.
warning duplicate: the example repeats an earlier one \
(10,000 times: support.csv row 5 like row 4, row 6 like row 4, row 7 like row 2, …)
    Drop the later ones, unless they are meant to weigh more.
warning empty_prompt: the prompt is empty or only white space (support.csv row 10005)
    Write the question that this completion answers, or drop the rows: `clean(fixes=["empty_prompt"])`."""

GOLDEN_CHAT = """\
7 examples checked: 13 errors
error chat_roles: 'bot0' is not a role (chat.jsonl row 1)
error chat_roles: no message is by the assistant (6 times: chat.jsonl row 1, row 2, row 3, …)
error chat_roles: 'bot1' is not a role (chat.jsonl row 2)
error chat_roles: 'bot2' is not a role (chat.jsonl row 3)
error chat_roles: 'bot3' is not a role (chat.jsonl row 4)
error chat_roles: and 2 more
    The roles are system, developer, user, assistant, tool, function.
    The model learns the assistant's messages: end each conversation with the answer it should give.
error minimum_examples: at least 10 examples are needed for training, and there are only 7
    Add examples, or mend rows that were refused."""


def test_ten_thousand_equal_faults_are_one_line() -> None:
    pairs = [("hours?", "9 to 5"), ("hours?", "10 to 6"), ("where?", ""), ("where?", ""), ("where?", "")]
    rows = completions(*pairs, *[("hours?", "9 to 5")] * 9_998, ("", "Welcome."))
    assert validate(rows, FEW).summary() == GOLDEN


def test_many_different_messages_of_one_code_are_cut_short() -> None:
    wrong = [conversation((f"bot{number}", "hello")) for number in range(6)]
    rows = chats(*wrong, conversation(("user", "hello"), ("assistant", "hi")))
    assert validate(rows, ESSENTIAL).summary() == GOLDEN_CHAT


def test_a_report_without_issues_says_so() -> None:
    report = validate(many(150), FEW)
    assert report.ok
    assert report.summary() == "150 examples checked: no issues"
    report.raise_if_errors()


def test_the_first_hundred_of_a_code_are_kept_and_all_are_counted() -> None:
    report = Report.collect(Issue("x", Severity.WARNING, "m", row=row) for row in range(250))
    assert len(report.issues) == 100
    assert report.counts == {"x": 250}


def test_warnings_of_the_same_code_do_not_hide_an_error() -> None:
    warnings = [Issue("x", Severity.WARNING, "m", row=row) for row in range(250)]
    report = Report.collect([*warnings, Issue("x", Severity.ERROR, "worse", row=250)])
    assert [issue.row for issue in report.errors] == [250]
    assert report.issues[0].severity is Severity.ERROR


def test_errors_raise_one_readable_error_that_holds_the_report_and_pickles() -> None:
    report = validate(completions(("a", ""), ("b", "c")), ESSENTIAL)
    with pytest.raises(ValidationError, match=r"support\.csv row 2") as caught:
        report.raise_if_errors()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.report == report


def test_two_reports_become_one_that_counts_both() -> None:
    many_warnings = Report.collect((Issue("x", Severity.WARNING, "m", row=row) for row in range(150)), rows=150)
    errors = Report.collect([Issue("a", Severity.ERROR, "e", origin=Origin("b.csv", 3))], rows=2)
    merged = many_warnings.merge(errors)
    assert merged.counts == {"x": 150, "a": 1}
    assert (merged.rows, merged.ok, merged.issues[0].code, len(merged.issues)) == (152, False, "a", 101)


def test_its_repr_is_one_short_line() -> None:
    assert repr(validate(completions(("a", "")), ESSENTIAL)) == "<Report: 1 example checked: 2 errors>"


def test_an_example_without_a_file_is_named_by_its_number() -> None:
    report = validate(completions(("a", ""), path=None), ESSENTIAL)
    assert "(record 2)" in report.summary()


def test_nothing_in_a_message_can_drive_the_terminal() -> None:
    report = Report.collect([Issue("x", Severity.ERROR, "\x1b[31mred\u202e", origin=Origin("a\nb.csv", 1))])
    assert report.summary().splitlines()[1] == "error x: \\x1b[31mred\\u202e (a\\nb.csv row 1)"


def test_a_long_path_is_named_in_full_once_and_then_by_its_end() -> None:
    path = "/home/anna/projects/support/2026/november/exports/support_en.csv"
    issues = [Issue(code, Severity.ERROR, "m", row=row, origin=Origin(path, row)) for code in "xy" for row in (2, 3)]
    _, first, second = Report.collect(issues).summary().splitlines()
    assert first == f"error x: m (2 times: {path} row 2, row 3)"
    assert second == "error y: m (2 times: …/2026/november/exports/support_en.csv row 2, row 3)"
    windows = Report.collect(Issue(code, Severity.ERROR, "m", origin=Origin("x" * 60 + "\\a.csv", 1)) for code in "xy")
    assert windows.summary().splitlines()[2] == "error y: m (…\\a.csv row 1)"
