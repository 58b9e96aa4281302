"""Near-duplicates are found whatever the order, the script and the spelling, and nothing else is."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit.errors import ParameterError
from finetune_kit.near import (
    NEAR_BYTES,
    NEAR_ROWS,
    By,
    Near,
    near_across,
    near_groups,
    near_pairs,
    near_unlike,
    searched_by_default,
)
from finetune_kit.records import ChatExample, CompletionExample, Message
from finetune_kit.rows import Rows
from tests.rows_of import chats, completions, conversation, rows_of

POEM = "Shall I compare thee to a summer's day? Thou art more lovely and more temperate. Rough winds do shake the buds."
CHINESE = "请问我的包裹现在在哪里，为什么已经三天了还没有送到？"


def prompts(*texts: str) -> Rows:
    """Rows with these prompts and one completion."""
    return completions(*((text, "yes") for text in texts))


def word_pairs(text: str) -> set[tuple[str, ...]]:
    """What the documentation says, written as plainly as can be."""
    words = re.findall(r"[\u4e00-\u9fff]|[^\W_\u4e00-\u9fff]+", text.casefold())
    return {tuple(words)} if len(words) == 1 else set(pairwise(words))


def likeness(one: str, other: str) -> float:
    """The same for a similarity."""
    first, second = word_pairs(one), word_pairs(other)
    return len(first & second) / len(first | second) if first | second else 1.0


def test_case_space_and_punctuation_do_not_count() -> None:
    rows = prompts(POEM, "hello there", POEM.upper().replace(" ", "\n  ").replace(".", " !!! "), "“Hello”, there")
    assert near_pairs(rows) == [(2, 0, 1.0), (3, 1, 1.0)]


@pytest.mark.parametrize(
    "text", [POEM, CHINESE, "ช่วยบอกหน่อยว่าพัสดุของฉันอยู่ที่ไหนตอนนี้", "荷物は今どこにありますか教えてください"]
)
def test_one_character_or_word_may_differ(text: str) -> None:
    [found] = near_pairs(prompts(text, "another question altogether", text.replace(text[-8:], text[-7:])))
    assert found[:2] == (2, 0)
    assert 0.7 <= found.similarity < 1


def test_short_texts_that_differ_in_a_word_are_not_near() -> None:
    assert near_pairs(prompts("Where is parcel 7?", "Where is parcel 8?", "7", "8", "包裹在哪", "包裹呢")) == []


def test_word_order_counts() -> None:
    assert near_pairs(prompts("does the dog bite the man today", "does the man bite the dog today")) == []


@pytest.mark.parametrize("texts", [("", ""), ("?!", "?!"), (" ", "\n")])
def test_rows_without_a_word_resemble_none(texts: tuple[str, ...]) -> None:
    assert near_pairs(completions(*((text, "") for text in texts))) == []


def test_both_sides_of_an_example_must_be_alike_unless_prompts_are_asked_for() -> None:
    rows = completions((POEM, "A sonnet."), (POEM + "!", "Too long; I did not read it."), ("What is this?", "A sonnet"))
    assert near_pairs(rows) == []
    assert near_pairs(rows, by="prompt") == [(1, 0, 1.0)]


def test_a_long_common_answer_does_not_make_different_questions_alike() -> None:
    assert near_pairs(completions(("reset my password", POEM), ("I forgot how to log in", POEM))) == []


def test_where_nothing_is_asked_the_whole_text_counts() -> None:
    assert near_pairs(completions(("", POEM), ("", "other"), ("", POEM.lower())), by="prompt") == [(2, 0, 1.0)]


def test_what_many_rows_share_is_their_form_and_does_not_count() -> None:
    header = "Read the message of a customer and name in one word what it is about, nothing else: "
    asked = [f"{header}{thing} arrived {when}" for thing in "abcdefgh" for when in ("late", "never", "broken")]
    assert near_pairs(prompts(*asked)) == []
    same = near_pairs(prompts(*asked, f"{header} A, ARRIVED: late"))
    assert same == [(24, 0, 1.0)]


def test_a_system_message_is_form_and_other_messages_are_not() -> None:
    turns = ("user", POEM), ("assistant", "A sonnet.")
    rows = chats(conversation(("system", "Be kind."), *turns), conversation(("system", "Be brief and exact."), *turns))
    assert near_pairs(rows) == [(1, 0, 1.0)]
    assert near_pairs(chats(conversation(*turns), conversation(("user", "More?"), *turns[1:]))) == []


def test_images_are_not_compared_by_the_text_beside_them() -> None:
    def about(picture: str) -> ChatExample:
        image: Any = {"type": "image_url", "image_url": {"url": picture}}
        asked = Message("user", [{"type": "text", "text": POEM}, image])
        return ChatExample((asked, Message("assistant", "A cat.")))

    assert near_pairs(chats(about("https://a/1.png"), about("https://a/2.png")), by="prompt") == []


def test_tool_calls_are_part_of_what_is_said() -> None:
    def call(place: str) -> ChatExample:
        function = {"name": "weather", "arguments": f'{{"place": "{place}"}}'}
        more: Any = {"tool_calls": [{"id": "1", "type": "function", "function": function}]}
        return conversation(("user", "How is the weather there?"), ("assistant", None), more=more)

    assert near_pairs(chats(call("Old Town, Rome"), call("Harbour, Oslo, Norway"), call("old town rome"))) == [
        (2, 0, 1.0)
    ]


def test_all_rows_equal_give_a_pair_each_and_no_more() -> None:
    assert near_pairs(prompts(*["The same."] * 300)) == [(row, 0, 1.0) for row in range(1, 300)]


def test_a_row_as_long_as_a_book_is_compared_by_a_sample() -> None:
    random = Random(1)
    words = [f"{random.getrandbits(24):x}" for _ in range(100_000)]
    changed = [word if number % 50 else "changed" for number, word in enumerate(words)]
    rows = prompts(" ".join(words), "short", " ".join(changed), " ".join(reversed(words)))
    [found] = near_pairs(rows)
    assert found[:2] == (2, 0)
    assert found.similarity == pytest.approx(likeness(" ".join(words), " ".join(changed)), abs=0.02)


# against the plainest search


def planted(random: Random, originals: int) -> list[str]:
    """Texts, a third of them Chinese, among them changed copies of all degrees."""
    words = ["".join(random.choices("etaoinshrdlu", k=random.randint(2, 7))) for _ in range(400)]
    signs = [chr(0x4E00 + number) for number in range(600)]
    texts: list[str] = []
    for number in range(originals):
        chinese = number % 3 == 0
        parts = random.choices(signs if chinese else words, k=random.randint(4, 80))
        for _ in range(3):
            texts.append(("" if chinese else " ").join(parts))
            changes = random.randint(0, len(parts) // 8)
            parts = [*parts]
            for place in random.sample(range(len(parts)), changes):
                parts[place] = random.choice(signs if chinese else words)
    random.shuffle(texts)
    return texts


def test_nearly_all_that_comparing_each_with_each_finds_is_found_and_nothing_else() -> None:
    texts = planted(Random(3), 700)
    by_pair: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for pair in word_pairs(text):
            by_pair[pair].append(row)
    shared = {(one, other) for rows in by_pair.values() for one in rows for other in rows if one < other}
    expected = {pair for pair in shared if likeness(*(texts[row] for row in pair)) >= 0.7}
    groups = near_groups(prompts(*texts))
    group_of = {row: number for number, group in enumerate(groups) for row in group}
    found = {pair for pair in expected if pair[0] in group_of and group_of[pair[0]] == group_of.get(pair[1])}
    assert len(expected) > 900
    assert len(found) >= 0.99 * len(expected)
    for row, earlier, similarity in near_pairs(prompts(*texts)):
        assert earlier < row
        assert similarity >= 0.7
        assert similarity == pytest.approx(likeness(texts[row], texts[earlier]))


TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "B", "c", "d", "包", "裹", "e1", "."]), max_size=9).map(" ".join), max_size=25
)


@given(TEXTS, st.sampled_from([0.5, 0.7, 1.0]))
@settings(deadline=None)
def test_a_pair_is_as_alike_as_it_says(texts: list[str], threshold: float) -> None:
    for row, earlier, similarity in near_pairs(prompts(*texts), threshold=threshold):
        assert earlier < row
        assert similarity >= threshold
        if len(texts) < 20:  # with more, common word pairs do not count
            assert similarity == pytest.approx(likeness(texts[row], texts[earlier]))


@given(TEXTS, st.randoms(use_true_random=False), st.sampled_from(["content", "prompt"]))
@settings(deadline=None)
def test_the_order_of_the_rows_decides_nothing(texts: list[str], random: Random, by: By) -> None:
    order = random.sample(range(len(texts)), len(texts))
    groups = near_groups(prompts(*texts), by=by)
    shuffled = near_groups(prompts(*(texts[number] for number in order)), by=by)
    assert sorted(sorted(order[row] for row in group) for group in shuffled) == groups


def test_every_process_finds_the_same() -> None:
    program = (
        "from random import Random; from tests.test_near import planted, prompts; from finetune_kit.near import *;"
        "print(near_pairs(prompts(*planted(Random(5), 60)), threshold=0.6))"
    )
    there = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    here = near_pairs(prompts(*planted(Random(5), 60)), threshold=0.6)
    assert there.strip() == str(here)
    assert len(here) > 50


# two sets, two kinds


def test_validation_rows_are_found_that_resemble_a_training_row() -> None:
    training = prompts("other", POEM, "one more")
    assert near_across(training, prompts("new", POEM + " yes", "NEW", POEM.lower())) == [
        Near(1, 1, 21 / 22),
        Near(3, 1, 1.0),
    ]
    assert near_across(training, prompts("new", "new")) == []
    again = prompts(*[POEM + " yes", POEM + " Yes!"] * 3)
    assert [found.row for found in near_across(training, again)] == list(range(6))


def test_a_crowd_on_one_side_hides_no_likeness() -> None:
    crowd = [f"{POEM} {number}" for number in range(15)]
    assert [found.row for found in near_across(prompts(POEM), prompts(*crowd))] == list(range(15))
    assert [found.row for found in near_across(prompts(*crowd), prompts(POEM))] == [0]


def test_rows_of_one_kind_are_not_told_from_each_other() -> None:
    rows = prompts(POEM, POEM + " 1", POEM + " 2", "other")
    assert [found[:2] for found in near_unlike(rows, [0, 0, 1, 1])] in ([(2, 0)], [(2, 1)])
    assert near_unlike(rows, [0, 0, 0, 1]) == []


@pytest.mark.parametrize("threshold", [0.4, 1.1, float("nan"), True, "0.8", None])
def test_a_threshold_that_cannot_be_is_refused(threshold: Any) -> None:
    with pytest.raises(ParameterError, match=r"threshold=.*: give the least similarity, a number from 0.5 to 1"):
        near_pairs(prompts("a"), threshold=threshold)


def test_few_short_rows_are_searched_by_default() -> None:
    few = prompts(*map(str, range(NEAR_ROWS)))
    assert searched_by_default(few)
    assert not searched_by_default(few, prompts("one more"))
    assert not searched_by_default(prompts("x" * NEAR_BYTES))


def test_halves_of_characters_and_huge_numbers_are_no_obstacle() -> None:
    more: Any = {"tool_calls": [{"id": 10**30}]}
    calls = [conversation(("user", "Hi there"), ("assistant", None), more=more) for _ in range(2)]
    assert near_pairs(chats(*calls)) == [(1, 0, 1.0)]
    assert near_pairs(rows_of([CompletionExample("é\u0301 ß", "a"), CompletionExample("É\u0301 SS", "A")])) == [
        (1, 0, 1.0)
    ]
