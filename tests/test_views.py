"""What is found in all rows of a batch at once is found in each of them, and nowhere else."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit._views import RowBytes
from finetune_kit.records import ChatExample, CompletionExample, Message
from finetune_kit.rows import Rows, RowsBuilder
from tests.rows_of import chats, completions, conversation, many

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def with_metadata(*examples: CompletionExample) -> Rows:
    builder = RowsBuilder("completion")
    for line, example in enumerate(examples, 1):
        builder.add(example, line=line)
    return builder.build()


def test_raw_is_the_content_lines_one_after_another() -> None:
    rows = with_metadata(CompletionExample("a", "b", {"customer": "c"}), CompletionExample("d", "e"))
    [batch] = rows.batches()
    assert batch.raw.data == b'{"prompt":"a","completion":"b"}\n{"prompt":"d","completion":"e"}\n'


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=9), st.data())
def test_raw_of_a_view_is_that_of_its_rows(pairs: list[tuple[str, str]], data: st.DataObject) -> None:
    rows = completions(*pairs)
    numbers = data.draw(st.lists(st.integers(0, len(pairs) - 1), max_size=9)) if pairs else []
    for view in (rows, rows[::-1], rows[1:4], rows.take(numbers)):
        lines = [view.content_line(number) + b"\n" for number in range(len(view))]
        assert b"".join(batch.raw.data for batch in view.batches(4)) == b"".join(lines)
        assert [text for batch in view.batches(4) for text in batch.prompts] == [
            example.prompt for example in view if isinstance(example, CompletionExample)
        ]
        assert [text for batch in view.batches(4) for text in batch.completions] == [
            example.completion for example in view if isinstance(example, CompletionExample)
        ]


def test_rows_are_named_by_their_numbers_in_the_data_set() -> None:
    batches = list(many(600).batches())
    assert [batch.raw.rows(re.compile(b"parcel [0-9]*00[?]")) for batch in batches] == [
        [0 + 100, 200],
        [300, 400, 500],
        [],
    ]
    assert batches[1][7:9].raw.rows(re.compile(b"parcel")) == [263, 264]
    assert batches[2].raw.row_at(0) == 512
    assert [batch.raw.row(512) for batch in batches[2:]] == [batches[2].rows.content_line(512) + b"\n"]
    assert b"\n".join(batches[0].raw.lines()) + b"\n" == batches[0].raw.data
    assert batches[1].raw.row(511) == batches[1].rows.content_line(511) + b"\n"


@given(st.lists(st.text("ab<&", max_size=5), max_size=12), st.integers(0, 1000))
def test_a_row_is_found_once_however_often_it_holds_the_needle(texts: list[str], start: int) -> None:
    raw = RowBytes("".join(f"{text}\n" for text in texts).encode(), start)
    expected = [start + place for place, text in enumerate(texts) if "<" in text or "&" in text]
    assert raw.rows(re.compile(b"[<&]")) == expected
    assert raw.rows_with(b"<", b"&", b"%") == expected
    assert (b"<" in raw) == any("<" in text for text in texts)


@given(st.lists(TEXTS, max_size=9))
def test_marks_keep_every_capital_digit_and_sign_in_its_row(texts: list[str]) -> None:
    [*batches] = completions(*((text, "x") for text in texts)).batches()
    for batch in batches:
        for place in range(len(batch)):
            row = batch.raw.data.split(b"\n")[place]
            kept = bytes(char for char in row if char < 0x80 and not chr(char).islower() and char != ord(" "))
            assert batch.marks.data.split(b"\n")[place] == kept


def test_other_kinds_have_no_prompts() -> None:
    [batch] = chats(conversation(("user", "a"), ("assistant", "b"))).batches()
    assert (batch.prompts, batch.completions) == ([], [])
    assert b'"content":"a"' in batch.raw


@pytest.mark.parametrize("decoded_before", [False, True])
def test_one_example_is_that_of_its_number(*, decoded_before: bool) -> None:
    rows = chats(*(ChatExample((Message("user", str(number)),)) for number in range(300)))
    batch = list(rows.batches())[1]
    if decoded_before:
        assert len(batch.examples) == 44
    assert batch.example(299) == rows[299]


def test_examples_made_at_once_are_those_of_the_constructor() -> None:
    [batch] = many(3).batches()
    assert batch.examples == [
        CompletionExample(f"Where is parcel {number}?", f"At your neighbour's, {number}.") for number in range(3)
    ]
    assert {hash(example.prompt) for example in batch.examples if isinstance(example, CompletionExample)}
    assert batch.examples[0].metadata == {}
