"""A conversation has known speakers and ends with the assistant."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import ChatExample, Message
from finetune_kit.validators import ChatRoles, validate
from finetune_kit.validators.chat_roles import KNOWN_ROLES
from tests.rows_of import chats, completions, conversation


@pytest.mark.parametrize(
    ("example", "messages"),
    [
        (conversation(("user", "x")), ["no message is by the assistant"]),
        (ChatExample(()), ["the conversation has no messages"]),
        (conversation(("system", "x")), ["there are only instructions, no question and no answer"]),
        (conversation(("system", "x"), ("developer", "y")), ["there are only instructions, no question and no answer"]),
        (
            conversation(("user", "x"), ("assistant", "y"), ("user", "z")),
            ["the last message is by 'user', not by the assistant"],
        ),
        (conversation(("human", "x"), ("assistant", "y")), ["'human' is not a role"]),
        (
            conversation(("human", "x"), ("gpt", "y")),
            ["'human' is not a role", "'gpt' is not a role", "no message is by the assistant"],
        ),
    ],
)
def test_a_wrong_speaker_is_an_error(example: ChatExample, messages: list[str]) -> None:
    assert [issue.message for issue in validate(chats(example), [ChatRoles()]).errors] == messages


@pytest.mark.parametrize(
    "example",
    [
        conversation(("user", "x"), ("assistant", "y")),
        conversation(("assistant", "y")),
        conversation(("system", "s"), ("user", "x"), ("assistant", "y"), ("tool", "t"), ("assistant", "z")),
        conversation(("developer", "s"), ("user", "x"), ("assistant", "y")),
        conversation(("user", "x"), ("function", "r"), ("assistant", "z")),
    ],
)
def test_every_role_that_hosts_know_may_speak(example: ChatExample) -> None:
    assert not validate(chats(example), [ChatRoles()]).issues


def test_a_role_cannot_write_to_the_terminal() -> None:
    report = validate(chats(conversation(("\x1b[2J" + "x" * 1000, "x"), ("assistant", "y"))), [ChatRoles()])
    assert "\x1b" not in report.summary()
    assert len(report.errors[0].message) < 100


@given(st.lists(st.sampled_from([*KNOWN_ROLES, "bot", ""])))
def test_a_conversation_of_known_speakers_that_the_assistant_ends_is_right(roles: list[str]) -> None:
    example = ChatExample(tuple(Message(role, "x") for role in roles))
    right = set(roles) <= set(KNOWN_ROLES) and roles[-1:] == ["assistant"]
    assert validate(chats(example), [ChatRoles()]).ok == right


def test_completions_have_no_roles() -> None:
    assert not validate(completions(("a", "b")), [ChatRoles()]).issues
