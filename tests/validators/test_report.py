"""A report counts everything, keeps a part, and reads well."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import ValidationError
from finetune_kit.records import ChatExample, JsonValue, Message
from finetune_kit.rows import Origin
from finetune_kit.validators import (
    DEFAULT,
    ESSENTIAL,
    AnyValidator,
    Contradictions,
    Duplicates,
    EmptyPrompt,
    Issue,
    Report,
    Severity,
    row_validator,
    validate,
)
from finetune_kit.validators.personal_data import mails_in, numbers_in
from finetune_kit.validators.secrets import secrets_in
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


TOKEN = "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2
MAIL = "li.lei@mail.cn"


def quoting(said: str) -> AnyValidator:
    """A rule that quotes the data where it should not."""
    return row_validator("quoting", hint=f"Ask {said}.")(lambda _: f"{said!r} is not right")


def shown_of(report: Report) -> list[str]:
    return [report.summary(), report.to_html(), report.to_json(), report._repr_html_(), repr(report.issues)]


@pytest.mark.parametrize("said", [TOKEN, MAIL, "13800138000", "4111 1111 1111 1111", "11010519491231002X"])
def test_a_message_that_quotes_what_is_secret_or_personal_is_masked(said: str) -> None:
    report = validate(many(12), [quoting(said)])
    assert report.counts == {"quoting": 12}
    assert [message for _, _, message in report.messages] == [report.issues[0].message]
    assert "•••" in report.summary()
    for text in shown_of(report):
        assert said not in text


def test_a_label_a_beginning_a_key_and_a_column_are_masked_in_messages() -> None:
    rows = completions(*((f"{MAIL} asks about {n} {n * n}", (TOKEN, f"{TOKEN} ", "b")[n % 3]) for n in range(60)))
    report = validate(rows, DEFAULT)
    assert {"look_alike_label", "prompt_prefix"} <= report.counts.keys()
    for text in shown_of(report):
        assert TOKEN not in text
        assert f"'{MAIL}" not in text


def test_faults_that_are_told_apart_by_a_secret_alone_become_one_with_all_their_rows() -> None:
    mails = (f"li.lei{number}@mail.cn" for number in range(10))
    report = validate(many(10), [row_validator("quoting")(lambda _: f"{next(mails)} is not right")])
    assert list(report.messages.values()) == [10]


def test_roles_keys_and_tools_are_masked_where_a_row_is_shown() -> None:
    asked = Message("user", "Where?", {TOKEN: 1})
    answer = Message("assistant", "Here.")
    tools: JsonValue = [{"type": "function", "function": {"name": "f", "parameters": {"type": TOKEN}}}]
    rows = chats(*(ChatExample((asked, Message(MAIL, "So?"), answer), {"tools": tools}) for _ in range(3)))
    report = validate(rows, DEFAULT)
    assert {"chat_roles", "message_keys", "tool_definition"} <= report.counts.keys()
    for text in (report.to_html(), report.to_json(), report.summary()):
        assert TOKEN not in text
        assert f"'{TOKEN[:20]}" not in text  # the key is shortened where it is quoted
        assert f'"{MAIL}"' not in text
        assert f">{MAIL}<" not in text


@given(st.text())
def test_a_message_without_secrets_stays_as_it_is(said: str) -> None:
    found: list[object] = [*mails_in(said), *numbers_in(said), *secrets_in(said)]
    issues = (Issue("quoting", Severity.WARNING, said),)
    assert found or Report.collect(issues).issues == issues
