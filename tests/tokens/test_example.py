"""Whole examples: what is counted, what is trained on, and that no data make it fail."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._extras import installed
from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Message, PreferenceExample
from finetune_kit.tokens import Estimate, HostedTokens, Measured, layout, tokenizer
from tests.tokens.words import Words

NEEDS_TOKENS = pytest.mark.skipif(
    not (installed("quicktok") or installed("bpe_openai")), reason="the extra `tokens` is not installed"
)

JARGON = [
    Message(
        "system", "You are a helpful, pattern-following assistant that translates corporate jargon into plain English."
    ),
    Message("system", "New synergies will help drive top-line growth.", {"name": "example_user"}),
    Message("system", "Things working well together will increase revenue.", {"name": "example_assistant"}),
    Message(
        "system",
        "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.",
        {"name": "example_user"},
    ),
    Message("system", "Let's talk later when we're less busy about how to do better.", {"name": "example_assistant"}),
    Message("user", "This late pivot means we don't have time to boil the ocean for the client deliverable."),
]
WEATHER: JsonValue = [
    {
        "type": "function",
        "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                    "unit": {
                        "type": "string",
                        "description": "The unit of temperature to return",
                        "enum": ["celsius", "fahrenheit"],
                    },
                },
                "required": ["location"],
            },
        },
    }
]
ASK_WEATHER = (
    Message("system", "You are a helpful assistant that can answer to questions about the weather."),
    Message("user", "What's the weather like in San Francisco?"),
)


WORDS = HostedTokens(Words())


def total(*messages: Message, tokens: HostedTokens = WORDS, **more: JsonValue) -> int:
    return tokens.measure(ChatExample(messages, more)).total


@NEEDS_TOKENS
@pytest.mark.parametrize(("encoding", "messages", "tools"), [("o200k_base", 124, 101), ("cl100k_base", 129, 105)])
def test_counts_are_those_that_the_api_reported(encoding: str, messages: int, tools: int) -> None:
    """The numbers stand in OpenAI's cookbook, beside what its API said: for gpt-4o, and for gpt-4."""
    tokens = HostedTokens(tokenizer(encoding))
    assert total(*JARGON, tokens=tokens) == messages
    assert total(*ASK_WEATHER, tokens=tokens, tools=WEATHER) == tools


def test_a_completion_is_trained_on_and_its_prompt_is_not() -> None:
    assert WORDS.measure(CompletionExample("where is it", "right here")) == Measured(5, 2, 2)


def test_a_prompt_becomes_a_conversation_where_the_model_takes_nothing_else() -> None:
    tokens = HostedTokens(Words(), chat_only=True)
    one = CompletionExample("where is it", "right here")
    other = ChatExample((Message("user", "where is it"), Message("assistant", "right here")))
    assert tokens.measure(one) == tokens.measure(other) == Measured(3 + 1 + 3 + 3 + 1 + 2 + 3, 2, 2)


@pytest.mark.parametrize(
    ("weight", "trained"),
    [({}, 2), ({"weight": 1}, 2), ({"weight": None}, 2), ({"weight": 0}, 0), ({"weight": 0.0}, 0)],
)
def test_a_turn_of_weight_0_is_billed_and_not_trained_on(weight: Any, trained: int) -> None:
    chat = ChatExample(
        (Message("user", "where"), Message("assistant", "right here", weight), Message("user", "thanks"))
    )
    measured = WORDS.measure(chat)
    assert (measured.total, measured.trained) == (3 * 3 + 3 + 3 + 4, trained)


def test_a_name_costs_itself_and_one_more() -> None:
    plain, named = Message("user", "hi"), Message("user", "hi", {"name": "ann"})
    assert total(named) - total(plain) == 2


def test_of_a_preference_pair_both_answers_are_trained_on_and_earlier_turns_are_not() -> None:
    pair = PreferenceExample(
        (Message("user", "hi"), Message("assistant", "old answer"), Message("user", "so")),
        (Message("assistant", "good new answer"),),
        (Message("assistant", "bad one"),),
    )
    assert WORDS.measure(pair).trained == 5
    assert WORDS.measure(pair).longest_answer == 3


def test_calls_of_tools_are_trained_on() -> None:
    call: JsonValue = {"id": "1", "type": "function", "function": {"name": "find", "arguments": '{"q": "red shoes"}'}}
    asked, called = Message("user", "shoes"), Message("assistant", None, {"tool_calls": [call]})
    measured = WORDS.measure(ChatExample((asked, called)))
    assert measured.trained == 3 + 1 + 3
    old = Message("assistant", None, {"function_call": {"name": "find", "arguments": '{"q": "red shoes"}'}})
    assert WORDS.measure(ChatExample((asked, old))).trained == measured.trained


def test_text_parts_are_counted_and_images_are_told_of() -> None:
    image: JsonValue = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    chat = ChatExample(
        (Message("user", [{"type": "text", "text": "what is this"}, image]), Message("assistant", "a cat"))
    )
    measured = WORDS.measure(chat)
    assert measured.uncounted == 1
    assert (
        measured.total
        == WORDS.measure(ChatExample((Message("user", "what is this"), Message("assistant", "a cat")))).total
    )


@NEEDS_TOKENS
def test_spans_are_the_tokens_in_order() -> None:
    tokens = HostedTokens(tokenizer("o200k_base"))
    chat = ChatExample((Message("user", "Where is my parcel?"), Message("assistant", "Right here, 在这里。")))
    spans = list(tokens.spans(chat))
    assert "".join(span.text for span in spans if span.use == "trained") == "Right here, 在这里。"
    assert sum((span.tokens or 0) + span.extra_tokens for span in spans) == tokens.measure(chat).total


def test_without_a_vocabulary_spans_are_the_texts() -> None:
    tokens = HostedTokens(Estimate(None))
    chat = ChatExample((Message("user", "Where is my parcel?"), Message("assistant", "Right here.")))
    assert list(tokens.spans(chat)) == list(layout(chat))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
KEYS = st.sampled_from(["weight", "name", "tool_calls", "function_call", "refusal", "other"])
FUNCTIONS = st.fixed_dictionaries(
    {}, optional={"function": VALUES, "name": VALUES, "description": VALUES, "parameters": VALUES, "arguments": VALUES}
)
SCHEMAS = st.fixed_dictionaries(
    {},
    optional={"properties": st.dictionaries(st.text(max_size=3), VALUES, max_size=3), "enum": VALUES, "items": VALUES},
)
ANYTHING = (
    VALUES | st.lists(FUNCTIONS, max_size=2) | st.lists(st.fixed_dictionaries({"parameters": SCHEMAS}), max_size=2)
)


@given(
    role=st.text(max_size=9) | st.just("assistant"),
    content=st.none() | st.text(max_size=9) | st.lists(VALUES, max_size=3),
    more=st.dictionaries(KEYS, ANYTHING),
    example=st.dictionaries(st.sampled_from(["tools", "functions", "parallel_tool_calls"]), ANYTHING),
)
def test_no_data_make_it_fail(role: str, content: Any, more: Any, example: Any) -> None:
    measured = WORDS.measure(ChatExample((Message(role, content, more),), example))
    assert 0 <= measured.longest_answer <= measured.trained <= measured.total


def test_deep_and_huge_values_are_counted_too() -> None:
    deep: JsonValue = {"type": "string"}
    for _ in range(150):
        deep = {"properties": {"a": deep}}
    tools: JsonValue = [{"function": {"name": "f", "parameters": deep}}, 10**30]
    assert total(Message("user", "hi"), tools=tools) > 0
