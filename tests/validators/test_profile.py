"""How long the texts are, and which labels there are."""

from __future__ import annotations

import pickle

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import Message, PreferenceExample
from finetune_kit.rows import RowsBuilder
from finetune_kit.validators.profile import Survey, profile_of
from tests.rows_of import chats, completions, conversation, many


@given(st.lists(st.integers(0, 3_000), min_size=1, max_size=60))
def test_every_example_is_in_one_bar(sizes: list[int]) -> None:
    [prompts, _] = profile_of(completions(*(("x" * size, "y") for size in sizes))).lengths
    assert sum(prompts.bars) + prompts.beyond == len(sizes)
    assert (prompts.shortest, prompts.longest, prompts.total) == (min(sizes), max(sizes), sum(sizes))
    assert prompts.median == sorted(sizes)[(len(sizes) - 1) // 2]
    assert len(prompts.bars) <= 24
    for place, times in enumerate(prompts.bars):
        assert times == sum(place * prompts.step <= size < (place + 1) * prompts.step for size in sizes)


def test_a_few_very_long_texts_do_not_flatten_the_histogram() -> None:
    rows = completions(*(("x" * 50, "y") for _ in range(1_000)), ("x" * 100_000, "y"))
    [prompts, _] = profile_of(rows).lengths
    assert (prompts.beyond, prompts.longest) == (1, 100_000)
    assert prompts.step * len(prompts.bars) < 100


def test_labels_are_counted_most_frequent_first() -> None:
    rows = completions(*[("q", "refund")] * 5, *[("q", "track")] * 7, *[("q", "a")] * 5)
    labels = profile_of(rows).labels
    assert labels is not None
    assert labels.shown == (("track", 7), ("a", 5), ("refund", 5))
    assert (labels.others, labels.others_rows) == (0, 0)


def test_free_text_has_no_labels() -> None:
    assert profile_of(many(300)).labels is None
    assert profile_of(completions(*[("q", "the same")] * 20)).labels is None


def test_only_the_most_frequent_labels_are_named() -> None:
    rows = completions(*(("q", f"label {number % 30:02}") for number in range(300)))
    labels = profile_of(rows).labels
    assert labels is not None
    assert (len(labels.shown), labels.others, labels.others_rows) == (20, 10, 100)


def test_a_conversation_is_measured_by_what_is_asked_and_answered() -> None:
    chat = conversation(("system", "abc"), ("user", "de"), ("assistant", "f"), ("user", "g"), ("assistant", "hi"))
    asked, answered, turns = profile_of(chats(chat)).lengths
    assert (asked.longest, answered.longest, turns.longest) == (6, 3, 5)
    assert (asked.unit, turns.unit) == ("characters", "messages")


def test_a_preference_pair_is_measured_by_its_three_parts() -> None:
    builder = RowsBuilder("preference")
    answers = ((Message("assistant", "yes"),), (Message("assistant", "no"),))
    builder.add(PreferenceExample((Message("user", "well?"),), *answers), line=1)
    assert [part.longest for part in profile_of(builder.build()).lengths] == [5, 3, 2]


def test_no_rows_have_no_shape() -> None:
    assert profile_of(many(0)).lengths == ()


def test_a_survey_takes_its_profile_along_to_another_process() -> None:
    survey = Survey(many(40))
    copy = pickle.loads(pickle.dumps(survey))
    assert copy.profile() == survey.profile() == profile_of(many(40))
