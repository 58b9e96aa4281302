"""Thirty kinds of fault, planted one by one into clean sets: the default report names each by its row, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest

from finetune_kit.records import ChatExample, CompletionExample
from finetune_kit.rows import Rows
from finetune_kit.validators import DEFAULT, validate
from tests.benchmarks.reading import made
from tests.rows_of import chats, conversation, rows_of

CLEAN = tuple(islice(made(400), 400))
PROMPT, ANSWER = CLEAN[100]
QUESTION = "Where is my parcel, which you sent three weeks ago?"
# Put together here so that no scanner takes this file for a leak.
TOKEN = "Zq8vN3tK0xW5rB7yL2mD4sF6" * 2

# The code, the prompt and the completion, each wrong in one way.
TEXT_FAULTS: tuple[tuple[str, str, str], ...] = (
    ("mojibake", "Where is the cafÃ© of which you spoke?", "It stands behind the old town hall."),
    ("mojibake", "Which street is it in?", "In the R\ufffdmerstra\ufffde, on the left."),
    ("control_characters", "Who\x00 brings it?", "Our man with the yellow bicycle."),
    ("control_characters", "How is it printed?", "\x1b[1mIn bold letters.\x1b[0m"),
    ("control_characters", "What did she say?", "That it\x92s all the same to her."),
    ("invisible_characters", "When does the mu\u200bseum open?", "At ten, and at eleven on Sundays."),
    ("invisible_characters", "May I bring a dog?", "\ufeffOnly a small one on a lead."),
    ("invisible_characters", "What stands behind?", "Nothing at all.\U000e0049\U000e0067\U000e006e"),
    ("html", "Who wrote the book?", "<p>A teacher from Leeds.</p>"),
    ("html", "Which firms took part?", "Brown &amp; Sons and two others."),
    ("placeholder", "Whom shall I write to?", "Dear {{customer}}, write to the office in Hull."),
    ("placeholder", "How do letters end?", "With kind regards, [Your Name]"),
    ("placeholder", "What does the leaflet say?", "Lorem ipsum dolor sit amet, consectetur adipiscing elit."),
    ("placeholder", "What is the third chapter about?", "TODO"),
    ("placeholder", "Which colour has the fourth door?", "N/A"),
    ("personal_data", "Who is in charge of it?", "Write to anna.berg@posthaus.de about that."),
    ("personal_data", "怎么联系王先生？", "请拨打13800138000找他。"),
    ("personal_data", "How was it paid?", "By card 4111 1111 1111 1111, on Monday."),
    ("personal_data", "登记的证件号码是哪个？", "是11010519491231002X，已经登记。"),
    ("personal_data", "Where did the money go?", "To DE89 3704 0044 0532 0130 00, as agreed."),
    ("secret", "How do I log in to the service?", f"Set the key sk-{TOKEN} and start again."),
    ("secret", "Which bucket is it?", "The one of AKIA" + "Q3ZTW5RB7YL2MD4S" + ", in Dublin."),
    ("secret", "And the database?", "Use password=hunter2Kq9x for it."),
    ("boilerplate_answer", "Do you like winter?", "As an AI language model, I have no likes."),
    ("boilerplate_answer", "能告诉我他的地址吗？", "很抱歉，我无法提供这类信息。"),
)
ROW_FAULTS: tuple[tuple[str, str, str], ...] = (
    ("empty_completion", "What is left?", " \n"),
    ("empty_prompt", "", "It stands in the hall, next to the stairs."),
    ("duplicate", PROMPT, ANSWER),
    ("contradiction", PROMPT, "Something else altogether, as far as anybody knows."),
    ("near_duplicate", PROMPT.lower(), f"{ANSWER.lower()}!"),
)
FIRST, APART = 120, 9


def planted(faults: Sequence[tuple[str, str, str]]) -> tuple[list[tuple[str, str]], set[tuple[str, int]]]:
    """The clean pairs with the faults among them, and which code belongs to which row."""
    pairs = list(CLEAN)
    expected: set[tuple[str, int]] = set()
    for number, (code, prompt, completion) in enumerate(faults):
        row = FIRST + number * APART
        pairs[row] = prompt, completion
        expected.add((code, row))
    return pairs, expected


def as_completions(pairs: Sequence[tuple[str, str]]) -> Rows:
    return rows_of(CompletionExample(prompt, completion) for prompt, completion in pairs)


def as_conversations(pairs: Sequence[tuple[str, str]]) -> Rows:
    talks: list[ChatExample] = [
        conversation(("system", "You are kind."), ("user", prompt), ("assistant", answer)) for prompt, answer in pairs
    ]
    return chats(*talks)


def found_in(rows: Rows) -> set[tuple[str, int | None]]:
    found = [(issue.code, issue.row) for issue in validate(rows, DEFAULT).issues]
    assert len(set(found)) == len(found)
    return set(found)


def test_the_clean_sets_are_clean() -> None:
    for rows in (as_completions(CLEAN), as_conversations(CLEAN)):
        assert {row for _, row in found_in(rows)} <= {None}
        assert validate(rows, DEFAULT).ok


def test_every_fault_in_completions_is_found_and_none_else() -> None:
    pairs, expected = planted((*TEXT_FAULTS, *ROW_FAULTS))
    assert len(expected) == len(TEXT_FAULTS) + len(ROW_FAULTS) == 30
    assert found_in(as_completions(pairs)) - found_in(as_completions(CLEAN)) == expected


def test_every_fault_of_a_text_in_conversations_is_found_and_none_else() -> None:
    pairs, expected = planted(TEXT_FAULTS)
    assert found_in(as_conversations(pairs)) - found_in(as_conversations(CLEAN)) == expected


@pytest.mark.parametrize(("code", "prompt", "completion"), [*TEXT_FAULTS, *ROW_FAULTS])
def test_a_fault_alone_is_one_finding_with_its_file_and_line(code: str, prompt: str, completion: str) -> None:
    pairs: list[tuple[str, str]] = list(CLEAN)
    pairs[300] = prompt, completion
    report = validate(as_completions(pairs), DEFAULT)
    [issue] = [issue for issue in report.issues if issue.row is not None]
    assert (issue.code, issue.row, str(issue.origin)) == (code, 300, "support.csv row 302")
    assert issue.hint


def test_a_stock_answer_to_every_tenth_question_is_found_at_its_first_row() -> None:
    pairs: list[tuple[str, str]] = list(CLEAN)
    for row in range(7, len(pairs), 10):
        pairs[row] = pairs[row][0], "Please contact our customer service by e-mail."
    assert found_in(as_completions(pairs)) - found_in(as_completions(CLEAN)) == {("repeated_answer", 7)}
