"""What stands in for a text is found, and honest texts and labels are not."""

from __future__ import annotations

import pytest
from hypothesis import given

from finetune_kit.records import Message, PreferenceExample
from finetune_kit.rows import RowsBuilder
from finetune_kit.validators import Placeholders, Severity, validate
from finetune_kit.validators.placeholders import _ENDS, _UNWRITTEN, find_placeholder
from tests.found_by import found_by, issues_in, texts_with
from tests.rows_of import chats, completions, conversation, many


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("Dear {{name}}, it is on its way.", "{{name}}"),
        ("Your order {{Order Number}} is late.", "{{Order Number}}"),
        ("您好，{{ 客户姓名 }}", "{{ 客户姓名 }}"),
        ("Sign here: [INSERT NAME HERE].", "[INSERT NAME HERE]"),
        ("Best regards,\n[Your Name]", "[Your Name]"),
        ("Dear [Customer's Name]", "[Customer's Name]"),
        ("Send it to <your e-mail>.", "<your e-mail>"),
        ("export KEY=<YOUR_API_KEY>", "<YOUR_API_KEY>"),
        ("Lorem ipsum dolor sit amet", "Lorem ipsum dolor"),
        ("LOREM IPSUM DOLOR SIT AMET", "LOREM IPSUM DOLOR"),
        ("TODO: ask Anna", "TODO"),
    ],
)
def test_placeholders_in_a_text_are_a_warning_at_their_place(text: str, fault: str) -> None:
    [issue] = issues_in(Placeholders(), text, "It is on its way.")
    assert (issue.row, issue.severity) == (0, Severity.WARNING)
    assert issue.span is not None
    assert text[slice(*issue.span)] == fault


@pytest.mark.parametrize("answer", ["TODO", "tbd", " FIXME.\n", "xxx", "asdf", "[TBD]", "待补充", "（待填写）", "..."])
def test_an_answer_that_is_only_a_placeholder_is_a_warning(answer: str) -> None:
    [issue] = issues_in(Placeholders(), *(f"answer {number}" for number in range(9)), answer)
    assert (issue.row, issue.severity) == (9, Severity.WARNING)


@pytest.mark.parametrize("answer", ["N/A", "n/a", "none", "NULL", "-", " nan ", "无", "#REF!"])
def test_an_answer_that_says_nothing_is_a_note(answer: str) -> None:
    [issue] = issues_in(Placeholders(), *(f"answer {number}" for number in range(9)), answer)
    assert (issue.row, issue.severity) == (9, Severity.INFO)


@pytest.mark.parametrize("label", ["NA", "null", "none", "-", "TBD", "xxx"])
def test_labels_of_a_closed_set_are_honest_answers(label: str) -> None:
    pairs = [(f"question {number}", label if number % 3 else "other") for number in range(30)]
    assert not validate(completions(*pairs), [Placeholders()]).issues


@pytest.mark.parametrize(
    "text",
    [
        "Put it on your to-do list.",
        "Todo el mundo lo sabe.",
        "TODO list apps are handy.",
        "Use `{{name}}` in the template.",
        "```\n{{ name }}\n```",
        r"\frac{{a}}{{b}}",
        "x_{{i}} and f{{0}}",
        "See [your account](https://shop.test).",
        "press [Enter] or <Enter>",
        "[1] Insert the card.",
        "The date is [12 May].",
        "Na",
        "0",
        "no",
        "没有",
    ],
)
def test_honest_texts_are_left_alone(text: str) -> None:
    assert not issues_in(Placeholders(), text, *(f"answer {number}" for number in range(9)))


def test_answers_of_conversations_are_looked_at_and_other_roles_are_not() -> None:
    rows = chats(
        conversation(("system", "You fill in {{name}}."), ("user", "Hello"), ("assistant", "Hi.")),
        conversation(("user", "Hello"), ("assistant", "TODO")),
        conversation(("user", "TODO"), ("assistant", "Hi there.")),
    )
    [issue] = validate(rows, [Placeholders()]).issues
    assert issue.row == 1


def test_only_the_preferred_answer_of_a_pair_counts() -> None:
    builder = RowsBuilder("preference")
    for line, answers in enumerate([("Hi.", "TODO"), ("TODO", "Hi.")], 1):
        preferred, other = ((Message("assistant", answer),) for answer in answers)
        builder.add(PreferenceExample((Message("user", f"Hello {line}"),), preferred, other), line=line)
    [issue] = validate(builder.build(), [Placeholders()]).issues
    assert issue.row == 1


def test_whole_answers_are_counted_over_many_batches() -> None:
    rows = [(f"question {number}", "TODO" if number % 500 == 0 else f"answer {number}") for number in range(1200)]
    assert [issue.row for issue in validate(completions(*rows), [Placeholders()]).issues] == [0, 500, 1000]
    assert not validate(many(1200), [Placeholders()]).issues


@given(
    texts_with(
        "{{name}}", "{{ 姓名 }}", "[Your Name]", "<your name>", "Lorem ipsum dolor", "[insert it here]", "{{{x}}}"
    )
)
def test_a_text_is_found_if_and_only_if_it_holds_one(text: str) -> None:
    expected = find_placeholder(text) is not None
    whole = text.strip(_ENDS).lower() in _UNWRITTEN  # which only an answer can be
    if not whole and not text.strip().startswith(("TODO", "TBD", "FIXME")) and len(text.strip()) > 6:
        assert found_by(Placeholders(), [text]) == [expected]
