"""A plain function is a rule."""

from __future__ import annotations

import pickle

from finetune_kit.records import ChatExample, CompletionExample, Example
from finetune_kit.validators import Severity, Validator, row_validator, validate
from tests.rows_of import chats, completions, conversation


@row_validator("no_links")
def no_links(example: Example) -> str | None:
    return "there is a link" if "http" in str(example.content()) else None


@row_validator("polite", severity=Severity.WARNING, hint="Say please.")
def polite(example: CompletionExample) -> str | None:
    return None if "please" in example.prompt else "the prompt is not polite"


@row_validator("greets")
def greets(example: ChatExample) -> str | None:
    return None if example.messages[0].content == "hello" else "no greeting"


def plain(example: Example) -> str | None:
    return str(example)


COMPLETIONS = completions(("see http://x", "y"), ("please", "y"))
CHATS = chats(conversation(("user", "hi"), ("assistant", "see http://x")))


def test_its_message_becomes_an_issue_with_row_severity_and_hint() -> None:
    [issue] = validate(COMPLETIONS, [polite]).issues
    assert (issue.code, issue.severity, issue.row, issue.hint) == ("polite", Severity.WARNING, 0, "Say please.")


def test_a_function_of_any_example_sees_both_kinds() -> None:
    assert validate(COMPLETIONS, [no_links]).counts == validate(CHATS, [no_links]).counts == {"no_links": 1}


def test_a_function_of_one_kind_is_not_called_with_the_other() -> None:
    assert validate(CHATS, [polite]).issues == validate(COMPLETIONS, [greets]).issues == ()
    assert validate(CHATS, [greets]).counts == {"greets": 1}


def test_it_can_still_be_called_as_a_function() -> None:
    assert polite(CompletionExample("now", "")) == "the prompt is not polite"
    assert isinstance(polite, Validator)


def test_it_finds_the_way_to_another_process() -> None:
    for rule in (no_links, polite, greets):
        assert pickle.loads(pickle.dumps(rule)) is rule
    copy = pickle.loads(pickle.dumps(row_validator("plain")(plain)))
    assert (copy.code, copy.function) == ("plain", plain)
