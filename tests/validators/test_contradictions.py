"""One prompt with two answers is found."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import ChatExample, JsonValue
from finetune_kit.validators import Contradictions, validate
from tests.rows_of import chats, completions, conversation


def test_another_completion_for_the_same_prompt_is_a_warning() -> None:
    report = validate(completions(("hours?", "9 to 5"), ("where?", "here"), ("hours? ", "10 to 6")), [Contradictions()])
    [issue] = report.warnings
    assert (issue.row, issue.related) == (2, 0)


def test_equal_examples_and_equal_completions_do_not_contradict() -> None:
    rows = completions(("hours?", "9 to 5"), ("hours?", " 9 to 5"), ("opening?", "9 to 5"), ("", "a"), ("", "b"))
    assert not validate(rows, [Contradictions()]).issues


GREETED = (("system", "Be kind."), ("user", "Hours?"))


def test_another_answer_to_the_same_conversation_is_a_warning() -> None:
    answered = [conversation(*GREETED, ("assistant", answer)) for answer in ("9 to 5", " 9 to 5", "10 to 6")]
    other = conversation(("system", "Be curt."), *GREETED[1:], ("assistant", "Always"))
    [issue] = validate(chats(*answered, other), [Contradictions()]).warnings
    assert (issue.row, issue.related, issue.field) == (2, 0, "messages[2].content")
    assert issue.message == "the same conversation has another answer in an earlier example"


def test_another_call_is_another_answer_whatever_its_id() -> None:
    rows = chats(*(_calling(number, city) for number, city in enumerate(("Rome", "Rome", "Oslo"))))
    assert [issue.row for issue in validate(rows, [Contradictions()]).issues] == [2]


def _calling(number: int, city: str) -> ChatExample:
    function: JsonValue = {"name": "weather", "arguments": f'{{"city": "{city}"}}'}
    call: JsonValue = {"id": f"call_{number}", "type": "function", "function": function}
    return conversation(("user", "Is it raining?"), ("assistant", None), more={"tool_calls": [call]})


def test_conversations_that_differ_before_ask_nothing_or_are_not_learnt_do_not_contradict() -> None:
    differ = [
        conversation(("user", "Hours?"), ("assistant", first), ("user", "And Sundays?"), ("assistant", answer))
        for first, answer in (("9 to 5", "none"), ("10 to 6", "10 to 2"))
    ]
    openings = [conversation(("system", "Be kind."), ("assistant", answer)) for answer in ("hello", "good day")]
    unlearnt = [conversation(("user", "Bye"), ("assistant", text), more={"weight": 0}) for text in ("bye", "ciao")]
    unanswered = [conversation(("user", "Yes?"), ("user", text)) for text in ("No", "Perhaps")]
    assert not validate(chats(*differ, *openings, *unlearnt, *unanswered), [Contradictions()]).issues


def test_other_tools_are_a_reason_for_another_answer() -> None:
    tools: list[JsonValue] = [{"type": "function", "function": {"name": name}} for name in ("clock", "map")]
    turns = [conversation(*GREETED, ("assistant", answer)) for answer in ("9 to 5", "I can look it up")]
    rows = chats(*(replace(turn, more={"tools": [tool]}) for turn, tool in zip(turns, tools, strict=True)))
    assert not validate(rows, [Contradictions()]).issues


@given(st.lists(st.tuples(st.sampled_from(["a", "A ", "b"]), st.sampled_from(["x", "x ", "y"])), min_size=1))
def test_as_conversations_rows_contradict_as_they_do_as_prompts_and_completions(pairs: list[tuple[str, str]]) -> None:
    as_chats = chats(*(conversation(("user", asked), ("assistant", answer)) for asked, answer in pairs))
    found = [
        [(issue.row, issue.related) for issue in validate(rows, [Contradictions()]).issues]
        for rows in (completions(*pairs), as_chats)
    ]
    assert found[0] == found[1]
