"""The texts of an example are found where they stand, whatever else stands there."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Message, PreferenceExample
from finetune_kit.validators.texts import answers_in, answers_of, last_answers, texts_of, without_code, written_texts_of
from tests.rows_of import chats, completions, conversation

CALLS: list[JsonValue] = [{"id": "1", "type": "function", "function": {"name": "track", "arguments": '{"parcel": 7}'}}]
TALK = ChatExample(
    (
        Message("system", "Be kind."),
        Message("user", [{"type": "text", "text": "Where "}, {"type": "text", "text": "is it?"}]),
        Message("assistant", None, {"tool_calls": CALLS}),
        Message("tool", "at home", {"tool_call_id": "1"}),
        Message("assistant", "At home.", {"refusal": "No."}),
    )
)
PAIR = PreferenceExample((Message("user", "Where?"),), (Message("assistant", "Here."),), (Message("assistant", "?"),))


def test_every_text_of_a_conversation_has_its_place() -> None:
    assert texts_of(TALK) == [
        ("messages[0].content", "Be kind."),
        ("messages[1].content", "Where is it?"),
        ("messages[2].content", ""),
        ("messages[2].tool_calls[0].function.arguments", '{"parcel": 7}'),
        ("messages[3].content", "at home"),
        ("messages[4].content", "At home."),
        ("messages[4].refusal", "No."),
    ]
    assert written_texts_of(TALK) == [
        ("messages[1].content", "Where is it?"),
        ("messages[2].content", ""),
        ("messages[4].content", "At home."),
    ]
    assert answers_of(TALK) == [("messages[2].content", ""), ("messages[4].content", "At home.")]


def test_of_a_preference_pair_only_the_preferred_answer_is_learnt() -> None:
    assert answers_of(PAIR) == [("preferred_output[0].content", "Here.")]
    assert [text for _, text in texts_of(PAIR)] == ["Where?", "Here.", "?"]


def test_the_answers_of_a_batch_are_those_of_its_rows() -> None:
    [batch] = chats(TALK, conversation(("user", "Hello"))).batches()
    assert last_answers(batch) == ["At home.", ""]
    assert answers_in(batch) == [(0, ""), (0, "At home.")]
    [pairs] = completions(("a", "b"), ("c", "d")).batches()
    assert last_answers(pairs) == ["b", "d"]


def test_prompt_and_completion_are_texts_and_metadata_is_not() -> None:
    assert texts_of(CompletionExample("a", "b", {"c": "d"})) == [("prompt", "a"), ("completion", "b")]


ODD: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["function", "arguments", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(ODD, ODD, ODD)
def test_odd_values_beside_the_content_are_passed_over(calls: Any, call: Any, refusal: Any) -> None:
    odd = Message("assistant", "x", {"tool_calls": calls, "function_call": call, "refusal": refusal})
    assert all(isinstance(text, str) for _, text in texts_of(ChatExample((odd,))))


@given(st.lists(st.sampled_from(["`", "```", "a", "\n", " ", "<b>"])).map("".join))
def test_code_is_blanked_and_nothing_else_moves(text: str) -> None:
    bare = without_code(text)
    assert len(bare) == len(text)
    assert all(kept in (char, " ") for kept, char in zip(bare, text, strict=True))


def test_code_between_backticks_is_no_text() -> None:
    assert without_code("Use `<b>` so:\n```html\n<p>\n```\n<i>") == "Use       so:\n" + " " * 15 + "\n<i>"
