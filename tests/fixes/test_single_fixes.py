"""Each fix: what it mends, the near miss that it leaves alone, and that a second run finds nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.dataset import Dataset
from finetune_kit.errors import ParameterError
from finetune_kit.fixes import (
    NAMED,
    SAFE,
    AnyFix,
    ControlCharacters,
    EmptyConversations,
    EmptyPrompts,
    HtmlEntities,
    InvisibleEdges,
    LabelSpelling,
    LongExamples,
    LowerCase,
    MergeTurns,
    Mojibake,
    StripPrefix,
    StripSuffix,
    TrailingSpace,
    UnicodeForm,
)
from finetune_kit.fixes.texts import with_texts
from finetune_kit.records import ChatExample, CompletionExample, Example, Message, PreferenceExample
from tests.rows_of import conversation

TEXT = st.text(st.sampled_from("aZ \t\n\r\x00\x08\x1b\x1f\x7f\ufeff\u200b\u200d\u2060\u00a0\u3000é&;中Ã©"), max_size=8)
SPACES = st.text(st.sampled_from([char for char in map(chr, range(0x3001)) if char.isspace()] + ["a", "é"]), max_size=2)
CONTENTS: st.SearchStrategy[Any] = (
    st.none() | TEXT | SPACES | st.lists(st.builds(lambda text: {"type": "text", "text": text}, SPACES), max_size=2)
)
TURNS = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), CONTENTS), max_size=2)
SEVEN: Any = 7
NO_FORM: Any = "NFX"
REPEATABLE = [*SAFE, LowerCase(), UnicodeForm(), MergeTurns(), LabelSpelling(), EmptyPrompts(), LongExamples(9)]


def cleaned(fix: AnyFix, *examples: Example) -> list[Example]:
    return list(Dataset.from_records(examples).clean(fixes=[fix]))


def text_after(fix: AnyFix, text: str, *, field: str = "completion") -> str:
    changed: dict[str, Any] = {field: text}
    (example,) = cleaned(fix, replace(CompletionExample("q", "a"), **changed))
    return str(example.content()[field])


@pytest.mark.parametrize(
    ("fix", "before", "after"),
    [
        (ControlCharacters(), "a\x00b\x08c\x7f", "abc"),
        (ControlCharacters(), "a\tb\nc\rd\x1b[0m\x1fe", "a\tb\nc\rd\x1b[0m\x1fe"),
        (InvisibleEdges(), "\ufeff\u200b a\u200bb \u2060\n", " a\u200bb \n"),
        (InvisibleEdges(), "\u200dक\u200d", "\u200dक\u200d"),
        (TrailingSpace(), "refund \t\u00a0\u3000\r", "refund"),
        (TrailingSpace(), " refund\n", " refund\n"),
        (TrailingSpace(), "x \r\n", "x \r\n"),
        (LowerCase(), "SKU-9Ä", "sku-9ä"),
        (StripPrefix("Answer: "), "Answer: yes", "yes"),
        (StripPrefix("Answer: "), "Answer: ", "Answer: "),
        (StripPrefix("Answer: "), "The Answer: yes", "The Answer: yes"),
        (StripSuffix(" END"), "yes END", "yes"),
        (StripSuffix(" END"), " END", " END"),
        (HtmlEntities(), "Q&amp;A &lt;b&gt; &#39;x&#x27;", "Q&A <b> 'x'"),
        (HtmlEntities(), "/?id=1&copy=2 AT&T; &", "/?id=1&copy=2 AT&T; &"),
        (UnicodeForm(), "ﬁ１\u0065\u0301", "fi1é"),
        (UnicodeForm("NFC"), "ﬁ\u0065\u0301", "ﬁé"),
        (Mojibake(), "CafÃ© â€œhiâ€\x9d ä¸\xadæ–‡", "Café “hi” 中文"),
        (Mojibake(), "Ñ“ naïve é»… ÃO \ufffd", "Ñ“ naïve é»… ÃO \ufffd"),
    ],
)
def test_text_becomes_what_it_should(fix: AnyFix, before: str, after: str) -> None:
    assert text_after(fix, before) == after


def test_the_space_before_a_completion_and_behind_a_prompt_stays() -> None:
    """The first may be the leading space that a template wants, the second a separator."""
    assert text_after(TrailingSpace(), " refund ") == " refund"
    assert text_after(TrailingSpace(), "Label: ", field="prompt") == "Label: "


def test_a_run_of_white_space_takes_no_quadratic_time() -> None:
    """Half a minute where each place in the run is looked at anew."""
    text = "a" + " \u200b" * 100_000 + "b"
    assert text_after(InvisibleEdges(), text) == text


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6), st.sampled_from(REPEATABLE))
def test_a_second_run_of_one_fix_finds_nothing(pairs: list[tuple[str, str]], fix: AnyFix) -> None:
    once = Dataset.from_records([*(CompletionExample(*pair) for pair in pairs), CompletionExample("a", "b")])
    once = once.clean(fixes=[fix])
    twice = once.clean(fixes=[fix])
    assert list(twice) == list(once)
    assert len(twice.changes) == len(once.changes)


@given(TEXT, TURNS)
def test_rows_that_no_fix_suspects_are_rows_that_it_would_not_mend(text: str, turns: list[Message]) -> None:
    """`suspects` is a short cut: it may name too many rows, never too few."""
    quick: list[Any] = [fix for fix in NAMED.values() if hasattr(fix, "suspects")]
    assert len(quick) > 5
    examples: list[Example] = [CompletionExample(text, text), ChatExample(tuple(turns))]
    for example in examples:
        (batch,) = Dataset.from_records([example]).rows.batches()
        for fix in quick:
            if not list(fix.suspects(batch)):
                assert not fix.drops(example) if hasattr(fix, "drops") else fix.mend(example) == example


def test_empty_prompts_stay_where_all_are_empty() -> None:
    """That is open-ended generation; to drop them would leave nothing."""
    examples: list[Example] = [CompletionExample("", "a"), CompletionExample(" ", "b")]
    assert cleaned(EmptyPrompts(), *examples) == examples
    assert cleaned(EmptyPrompts(), *examples, CompletionExample("q", "c")) == [CompletionExample("q", "c")]


@given(TEXT)
def test_no_fix_of_texts_empties_a_completion(text: str) -> None:
    for fix in (TrailingSpace(), StripPrefix("a"), StripSuffix("a")):
        assert bool(text_after(fix, text).strip()) == bool(text.strip())


# conversations


def test_texts_of_all_turns_and_parts_are_mended_and_nothing_else() -> None:
    parts: list[Any] = [{"type": "text", "text": "A&amp;B"}, {"type": "image_url", "image_url": {"url": "a&amp;b"}}]
    call: Any = {"id": "1", "function": {"name": "f", "arguments": '"&amp;"'}}
    example = ChatExample(
        (Message("user", parts), Message("assistant", None, {"tool_calls": [call]}), Message("assistant", "x&lt;y")),
        {"tools": [{"description": "&amp;"}]},
        {"note": "&amp;"},
    )
    (after,) = cleaned(HtmlEntities(), example)
    assert isinstance(after, ChatExample)
    assert after.messages[0].content == [{"type": "text", "text": "A&B"}, parts[1]]
    assert after.messages[1] == example.messages[1]
    assert after.messages[2] == Message("assistant", "x<y")
    assert (after.more, after.metadata) == (example.more, example.metadata)


def test_only_the_side_that_is_meant_is_mended() -> None:
    example = conversation(("system", "BE KIND"), ("user", "WHO?"), ("assistant", "WE"))
    assert cleaned(LowerCase("completion"), example) == [
        conversation(("system", "BE KIND"), ("user", "WHO?"), ("assistant", "we"))
    ]
    assert cleaned(LowerCase("prompt"), example) == [
        conversation(("system", "be kind"), ("user", "who?"), ("assistant", "WE"))
    ]


def test_both_answers_of_a_preference_are_mended() -> None:
    pair = PreferenceExample((Message("user", "Q"),), (Message("assistant", "A "),), (Message("assistant", "B "),))
    (after,) = cleaned(TrailingSpace(), pair)
    assert after == PreferenceExample(
        (Message("user", "Q"),), (Message("assistant", "A"),), (Message("assistant", "B"),)
    )


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.none() | TEXT), max_size=4))
def test_an_unchanged_example_is_the_same_object(turns: list[tuple[str, str | None]]) -> None:
    example = ChatExample(tuple(Message(*turn) for turn in turns))
    assert with_texts(example, lambda text: text) is example


def test_turns_of_one_speaker_become_one_turn() -> None:
    example = conversation(("user", "Hello"), ("user", "Who?"), ("assistant", "We"), ("assistant", "two"))
    assert cleaned(MergeTurns(), example) == [conversation(("user", "Hello\n\nWho?"), ("assistant", "We\n\ntwo"))]


def test_turns_with_weights_calls_or_results_stay_apart() -> None:
    weighed = conversation(("user", "Who?"), ("assistant", "no"), ("assistant", "we"), more={"weight": 0})
    results = conversation(("tool", "1"), ("tool", "2"))
    assert cleaned(MergeTurns(), weighed, results) == [weighed, results]


def test_a_conversation_is_dropped_only_where_the_assistant_says_nothing_at_all() -> None:
    calls: Any = {"tool_calls": [{"id": "1"}]}
    kept = [
        conversation(("user", "q"), ("assistant", ""), ("user", "q"), ("assistant", "a")),
        conversation(("user", "q"), ("assistant", None), more=calls),
        ChatExample((Message("assistant", [{"type": "refusal", "refusal": "no"}]),)),
        conversation(("user", "q"), ("bot", "a")),
    ]
    gone = [conversation(("user", "q"), ("assistant", " ")), conversation(("user", "q"), ("assistant", None))]
    assert cleaned(EmptyConversations(), *kept, *gone) == kept


@pytest.mark.parametrize("space", [char for char in map(chr, range(0x3001)) if char.isspace()], ids=ascii)
def test_an_answer_of_any_white_space_says_nothing(space: str) -> None:
    said = conversation(("user", "q"), ("assistant", "a"))
    assert cleaned(EmptyConversations(), said, conversation(("user", "q"), ("assistant", space))) == [said]


# the set as a whole


def test_labels_get_the_spelling_of_most_rows() -> None:
    pairs = [(f"q{n}", "refund") for n in range(9)]
    pairs += [("x", "Refund "), ("y", "REFUND"), ("z", "track"), ("w", "track")]
    after = cleaned(LabelSpelling(), *(CompletionExample(*pair) for pair in pairs))
    assert [example.content()["completion"] for example in after] == ["refund"] * 11 + ["track"] * 2


def test_free_texts_are_no_labels() -> None:
    examples = [CompletionExample(f"q{n}", text) for n, text in enumerate(["Yes", "yes", "No", "so"])]
    assert cleaned(LabelSpelling(), *examples) == examples


def test_dropping_repeats_and_long_rows_together_hits_no_innocent_row() -> None:
    """The founding tool took positions for labels here, kept the long row and deleted a good one."""
    rows = [(f"question {n}", f"answer {n}") for n in range(6)]
    rows = [*rows[:2], rows[0], ("long", "x" * 11_000), *rows[2:]]
    data = Dataset.from_records(rows).clean(fixes=["duplicate", LongExamples(max_characters=10_000)])
    assert [example.content()["prompt"] for example in data] == [f"question {n}" for n in range(6)]
    assert [(change.code, change.origin.line) for change in data.changes] == [("long_example", 4), ("duplicate", 3)]


# parameters


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: StripPrefix(""), "prefix is empty"),
        (lambda: StripSuffix(SEVEN), "suffix is int"),
        (lambda: LongExamples(0), "max_characters=0"),
        (lambda: UnicodeForm(NO_FORM), "form='NFX'"),
    ],
)
def test_a_wrong_parameter_is_refused(make: Any, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        make()
