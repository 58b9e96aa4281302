"""Examples of one kind as another: there and back without a loss, and what would be lost is refused by file and row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.dataset import Dataset
from finetune_kit.errors import FormatError, ParameterError, ValidationError
from finetune_kit.records import ChatExample, CompletionExample, Example, Message, PreferenceExample
from finetune_kit.templates import PromptTemplate
from tests.rows_of import PAIRS, conversation

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
PLAIN = conversation(("user", "Who?"), ("assistant", "We"))
LONG = conversation(("system", "Be kind"), ("user", "Who?"), ("assistant", "We"), ("user", "Why?"), ("assistant", "So"))
TURNS = "{role}: {text}\n"


def converted(*examples: Example, template: str | None = None) -> Dataset:
    return Dataset.from_records([PLAIN, *examples]).to_completion(template)


@given(st.lists(st.builds(CompletionExample, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=1)), min_size=1))
def test_there_and_back_nothing_is_lost(examples: list[CompletionExample]) -> None:
    data = Dataset.from_records(examples)
    back = data.to_chat().to_completion()
    assert list(back) == examples
    assert [back.rows.origin(row) for row in range(len(back))] == [data.rows.origin(row) for row in range(len(data))]


def test_a_prompt_and_its_completion_become_two_turns() -> None:
    data = Dataset.from_records([("Who?", "We")]).to_chat("Be kind")
    assert list(data) == [conversation(("system", "Be kind"), ("user", "Who?"), ("assistant", "We"))]
    assert data.source.notes[-2:] == (
        "1 completion example became conversations.",
        "1 conversation got the system message.",
    )


def test_a_conversation_with_instructions_keeps_its_own() -> None:
    data = Dataset.from_records([PLAIN, LONG])
    assert data.to_chat() is data
    both = data.to_chat("Be brief")
    assert list(both) == [conversation(("system", "Be brief"), ("user", "Who?"), ("assistant", "We")), LONG]
    assert both.source.notes[-1] == "1 conversation got the system message. 1 had one already and kept it."


def test_of_a_preference_pair_the_preferred_answer_is_taken_and_that_is_said() -> None:
    pair = PreferenceExample((Message("user", "Q"),), (Message("assistant", "A"),), (Message("assistant", "B"),))
    data = Dataset.from_records([pair])
    assert list(data.to_chat()) == [conversation(("user", "Q"), ("assistant", "A"))]
    assert "the others stayed behind" in data.to_chat().source.notes[-1]
    with pytest.raises(ParameterError, match=r"preference pairs.*to_chat\(\)"):
        data.to_completion()


def test_a_template_writes_all_turns_before_the_answer() -> None:
    data = converted(LONG, template=TURNS)
    assert data[1] == CompletionExample("system: Be kind\nuser: Who?\nassistant: We\nuser: Why?\n", "So")
    assert data.source.notes[-1] == "Answers before the last one, 1 in all, are context now and not learnt."


@given(TEXT, TEXT)
def test_what_looks_like_a_placeholder_in_the_data_is_text(asked: str, answered: str) -> None:
    examples = [conversation(("user", asked + "{role}{text}"), ("assistant", answered))]
    (pair,) = Dataset.from_records(examples).to_completion("{text}|")
    assert pair == CompletionExample(asked + "{role}{text}|", answered)


IMAGE: list[Any] = [{"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}]
CALL: Any = {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]}


@pytest.mark.parametrize(
    ("example", "template", "told"),
    [
        (LONG, None, "a prompt has no place for the turn by 'system'"),
        (
            conversation(("user", "a"), ("user", "b"), ("assistant", "c")),
            None,
            "2 turns are before the answer, not one",
        ),
        (conversation(("user", "a"), ("assistant", None), more=CALL), TURNS, "messages[1] has 'tool_calls'"),
        (ChatExample(PLAIN.messages, {"tools": []}), TURNS, "the conversation has 'tools'"),
        (ChatExample((Message("user", IMAGE), *PLAIN.messages[1:])), TURNS, "messages[0] has parts that are not text"),
        (conversation(("user", "a"), ("assistant", "b"), more={"weight": 0}), TURNS, "a weight that is not 1"),
        (
            ChatExample((Message("user", "a"), Message("assistant", "b", {"weight": 1}), Message("assistant", "c"))),
            TURNS,
            "messages[1] has a weight that is not 0",
        ),
        (conversation(("user", "a")), TURNS, "the last message is not by the assistant"),
        (ChatExample(()), TURNS, "the last message is not by the assistant"),
    ],
)
def test_what_a_completion_has_no_place_for_is_refused_and_counted(
    example: ChatExample, template: str | None, told: str, tmp_path: Path
) -> None:
    data = converted(example, template=template)
    assert len(data) == 1
    (refusal,) = data.source.refusals
    assert told in refusal.reason
    assert (refusal.line, refusal.code, data.source.rows_refused) == (2, "not_convertible", 1)
    with pytest.raises(ValidationError, match=r"error not_convertible.*record 2"):
        data.validate().raise_if_errors()
    written = json.loads(Path(data.write_refused(tmp_path / "refused.jsonl").path).read_text(encoding="utf-8"))
    assert json.loads(written["row"]) == example.content()
    with pytest.raises(FormatError, match=r"none of 1 conversation can become a prompt\. record 1: "):
        Dataset.from_records([example]).to_completion(template)


def test_earlier_answers_that_are_not_learnt_may_be_context() -> None:
    weighed = ChatExample((Message("user", "a"), Message("assistant", "b", {"weight": 0}), Message("assistant", "c")))
    data = converted(weighed, template="{text} ")
    assert data[1] == CompletionExample("a b ", "c")
    assert "not learnt" not in data.source.notes[-1]


def test_refused_conversations_of_two_files_are_named_by_their_files(tmp_path: Path) -> None:
    sets: list[Dataset] = []
    for name in ("a.jsonl", "b.jsonl"):
        path = tmp_path / name
        lines = [json.dumps(example.content()) for example in (PLAIN, LONG)]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        sets.append(Dataset.from_jsonl(path))
    data = sets[0].concat(sets[1]).to_completion()
    assert [(Path(str(refusal.path)).name, refusal.line) for refusal in data.source.refusals] == [
        ("a.jsonl", 2),
        ("b.jsonl", 2),
    ]
    text = Path(data.write_refused(tmp_path / "refused.jsonl").path).read_text(encoding="utf-8")
    assert [Path(json.loads(line)["path"]).name for line in text.splitlines()] == ["a.jsonl", "b.jsonl"]


@pytest.mark.parametrize(
    ("template", "told"),
    [
        ("{role}", "{text} is not in it"),
        (7, "template is int"),
        (PromptTemplate("->", "\n", leading_space=False), "a PromptTemplate stands around prompts"),
    ],
)
def test_what_is_no_template_is_refused(template: Any, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        converted(template=template)


def test_what_is_completion_already_stays_as_it_is() -> None:
    data = Dataset.from_records(PAIRS)
    assert data.to_completion() is data
    with pytest.raises(ParameterError, match="system is int"):
        data.to_chat(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
