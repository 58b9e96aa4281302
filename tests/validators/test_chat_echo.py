"""An answer says more than the question."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.validators import EchoedQuestion
from tests.chats_of import ANSWER, USER, chat, found

ECHO = {"role": "assistant", "content": USER["content"]}


def test_an_answer_that_is_the_question_is_a_warning() -> None:
    assert found(EchoedQuestion(), chat(USER, ANSWER, USER, ECHO)) == [
        ("warning", "messages[3].content", "the assistant only repeats the user's message")
    ]


def test_a_chinese_question_is_long_enough_with_six_characters() -> None:
    for text, times in (("包裹在哪里？", 1), ("新年快乐！", 0)):
        assert len(found(EchoedQuestion(), chat({"role": "user", "content": text}, ECHO | {"content": text}))) == times


def test_greetings_and_quotations_of_earlier_turns_are_answers() -> None:
    hello = chat({"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hello"})
    quoted = chat(USER, ANSWER, {"role": "user", "content": "Say what I said first"}, ECHO)
    twice = chat(USER, USER, ANSWER, ANSWER)
    assert found(EchoedQuestion(), hello, quoted, twice) == []


@given(st.text(), st.text())
def test_a_long_text_is_an_echo_of_itself_only(asked: str, answer: str) -> None:
    turns = {"role": "user", "content": "q" * 16 + asked}, {"role": "assistant", "content": "q" * 16 + answer}
    assert bool(found(EchoedQuestion(), chat(*turns))) == (asked == answer)
