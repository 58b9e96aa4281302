"""Rows keep every example exactly, by views that share one store, in flat memory."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit.errors import ParameterError, RowError
from finetune_kit.records import ChatExample, CompletionExample, Example, JsonValue, Message, PreferenceExample
from finetune_kit.rows import Origin, Rows, RowsBuilder, Source
from tests.rows_of import completions

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
METADATA = st.dictionaries(TEXTS, JSON, max_size=3)
COMPLETIONS = st.builds(CompletionExample, TEXTS, TEXTS, METADATA)
MESSAGES = st.builds(
    Message,
    TEXTS,
    st.none() | TEXTS,
    st.dictionaries(TEXTS.filter(lambda key: key not in ("role", "content")), JSON, max_size=2),
)
CHATS = st.builds(
    ChatExample,
    st.lists(MESSAGES, max_size=4).map(tuple),
    st.dictionaries(st.sampled_from(["tools", "functions"]), JSON, max_size=2),
    METADATA,
)
PREFERENCES = st.builds(
    PreferenceExample,
    st.lists(MESSAGES, max_size=3).map(tuple),
    st.lists(MESSAGES, max_size=2).map(tuple),
    st.lists(MESSAGES, max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(["tools", "parallel_tool_calls"]), JSON, max_size=2),
    METADATA,
)
SIMPLE = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXTS

# What a user's function may return in spite of the annotations.
ODD: Any = object()
ODD_KEY: Any = {1: "x"}


def rows_of(*examples: Example, path: str | None = None) -> Rows:
    builder = RowsBuilder(examples[0].kind if examples else "completion", path=path)
    for number, example in enumerate(examples, 1):
        builder.add(example, line=number)
    return builder.build()


def numbered(count: int) -> Rows:
    return rows_of(*(CompletionExample(f"question {n}", f"answer {n}") for n in range(count)), path="support.csv")


@given(st.lists(COMPLETIONS, max_size=5))
def test_completions_come_back_equal(examples: list[CompletionExample]) -> None:
    assert list(rows_of(*examples)) == examples


@given(st.lists(CHATS, min_size=1, max_size=5))
def test_chats_come_back_equal(examples: list[ChatExample]) -> None:
    assert list(rows_of(*examples)) == examples


@given(st.lists(PREFERENCES, min_size=1, max_size=3))
def test_preferences_come_back_equal(examples: list[PreferenceExample]) -> None:
    assert list(rows_of(*examples)) == examples


@given(st.lists(st.builds(CompletionExample, TEXTS, TEXTS, st.dictionaries(TEXTS, SIMPLE, max_size=2)), max_size=5))
def test_rows_added_together_are_those_added_one_by_one(examples: list[CompletionExample]) -> None:
    """Bytes, keys and flags; with and without metadata."""
    for bare in (False, True):
        if bare:
            examples = [CompletionExample(example.prompt, example.completion) for example in examples]
        builder = RowsBuilder("completion")
        builder.add_pairs(
            [example.prompt for example in examples],
            [example.completion for example in examples],
            None if bare else [example.metadata for example in examples],
            lines=range(1, len(examples) + 1),
        )
        together, single = builder.build(), rows_of(*examples)
        numbers = range(len(examples))
        assert list(together) == examples
        assert together.records(numbers) == single.records(numbers)
        assert together.row_keys() == single.row_keys()
        assert together.flags() == single.flags()
        assert [together.origin(n) for n in numbers] == [single.origin(n) for n in numbers]


def test_a_row_without_json_form_keeps_all_that_were_added_with_it_out() -> None:
    builder = RowsBuilder("completion")
    with pytest.raises(RowError):
        builder.add_pairs(["a", "cut \ud83d"], ["b", "c"], lines=[1, 2])
    builder.add_pairs(["a"], ["b"], lines=[1])
    assert list(builder.build()) == [CompletionExample("a", "b")]


def test_line_numbers_beyond_four_billion_are_kept() -> None:
    builder = RowsBuilder("completion")
    builder.add_pairs(["a", "b"], ["x", "y"], lines=[2**32 - 1, 2**32 + 5])
    builder.add(CompletionExample("c", "z"), line=2**32 + 6)
    rows = builder.build()
    assert [rows.origin(n).line for n in range(3)] == [2**32 - 1, 2**32 + 5, 2**32 + 6]


@given(st.lists(COMPLETIONS, max_size=6), st.data())
def test_blocks_are_the_content_lines(examples: list[CompletionExample], data: st.DataObject) -> None:
    rows = rows_of(*examples)
    if examples:
        rows = rows.take(data.draw(st.lists(st.integers(0, len(examples) - 1))))
    assert b"".join(rows.content_blocks()) == b"".join(line + b"\n" for line in rows.content_lines())


@pytest.mark.parametrize("number", [2**63 - 1, 2**64 - 1, 2**64, -(2**63) - 1, 10**40, 1e300, -0.0, 1e22])
def test_number_in_metadata_keeps_value_and_type(number: float) -> None:
    back = rows_of(CompletionExample("q", "a", {"n": [number]}))[0].metadata["n"]
    assert repr(back) == repr([number])


def test_no_rows_are_fine() -> None:
    rows = rows_of()
    assert (len(rows), list(rows), list(rows.batches()), list(rows.content_lines())) == (0, [], [], [])
    assert len(pickle.loads(pickle.dumps(rows))) == 0
    with pytest.raises(IndexError):
        rows[0]


def test_index_counts_from_the_end_too_and_stops_at_the_ends() -> None:
    rows = numbered(3)
    assert rows[-1] == rows[2]
    for index in (3, -4):
        with pytest.raises(IndexError):
            rows[index]


def test_slice_is_a_view() -> None:
    view = numbered(10)[2:8:2]
    assert isinstance(view, Rows)
    assert [view.origin(n).line for n in range(len(view))] == [3, 5, 7]


@given(st.lists(st.integers(0, 19)), st.data())
@settings(max_examples=30)
def test_take_of_take_is_the_take_of_both(first: list[int], data: st.DataObject) -> None:
    rows = numbered(20)
    second = data.draw(st.lists(st.integers(0, len(first) - 1))) if first else []
    view = rows.take(first).take(second)
    expected = [first[n] for n in second]
    assert list(view) == [rows[n] for n in expected]
    assert [view.origin(n) for n in range(len(view))] == [rows.origin(n) for n in expected]
    assert [view.digest(n) for n in range(len(view))] == [rows.digest(n) for n in expected]


def test_take_of_a_row_that_is_not_there_is_an_index_error() -> None:
    with pytest.raises(IndexError):
        numbered(3).take([0, 3])


@pytest.mark.parametrize("size", [1, 3, 256])
def test_batches_hold_every_row_once_in_order(size: int) -> None:
    rows = numbered(10).take([9, 1, 1, 4, 0, 7, 3])
    batches = list(rows.batches(size))
    assert [batch.start for batch in batches] == list(range(0, 7, size))
    assert [example for batch in batches for example in batch.examples] == list(rows)
    assert [origin for batch in batches for origin in batch.origins] == [rows.origin(n) for n in range(7)]
    assert [digest for batch in batches for digest in batch.digests] == [rows.digest(n) for n in range(7)]


def test_large_rows_come_in_smaller_batches() -> None:
    texts = ["x", "y" * (3 << 20), "z" * (20 << 20), *map(str, range(300)), "w" * (7 << 20)]
    rows = completions(*((text, "a") for text in texts))
    batches = list(rows.batches())
    assert [number for batch in batches for number in range(batch.start, batch.start + len(batch))] == list(range(304))
    sizes = [len(batch.raw.data) for batch in batches]
    assert all(size <= 8 << 20 or len(batch) == 1 for size, batch in zip(sizes, batches, strict=True))
    assert len(batches) < 20


def test_origins_of_a_batch_can_be_sliced() -> None:
    batch = next(numbered(5).batches())
    assert list(batch.origins[1:3]) == [Origin("support.csv", 2), Origin("support.csv", 3)]


def test_batch_of_no_rows_is_refused() -> None:
    with pytest.raises(ParameterError, match="at least one row"):
        numbered(3).batches(0)


def test_origin_reads_as_a_person_says_it() -> None:
    assert str(Origin("support.csv", 41)) == "support.csv row 41"
    assert str(Origin(None, 41)) == "record 41"


def test_digest_is_the_same_in_every_process_and_release() -> None:
    """Splits by content stand on it: a change here moves rows between the sides of data sets that people have."""
    rows = rows_of(CompletionExample("今天晚上吃什么好呢?", "火锅"))
    assert rows.digest(0).hex() == "3e6b34e85f12705428ef0184cbe9775b"
    chat = rows_of(ChatExample((Message("user", "Hi"), Message("assistant", None, {"weight": 1}))))
    assert chat.digest(0).hex() == "f2d90bc03ab72ad2b5af422b213c058e"


def test_digest_does_not_see_metadata() -> None:
    rows = rows_of(
        CompletionExample("q", "a"), CompletionExample("q", "a", {"customer": 7}), CompletionExample("q", "b")
    )
    assert rows.digest(0) == rows.digest(1) != rows.digest(2)
    assert len(rows.digest(0)) == 16


def test_content_line_is_compact_json_without_metadata() -> None:
    rows = rows_of(CompletionExample("多少钱?\n", 'say "hi"', {"customer": 7}))
    expected = '{"prompt":"多少钱?\\n","completion":"say \\"hi\\""}'.encode()
    assert rows.content_line(0) == expected
    assert list(rows.content_lines()) == [expected]


def test_content_line_keeps_the_order_of_keys() -> None:
    tool: JsonValue = {"type": "function", "function": {"name": "z", "arguments": {"b": 1, "a": 2}}}
    rows = rows_of(ChatExample((Message("user", "Hi"),), {"tools": [tool]}))
    assert rows.content_line(0) == (
        b'{"messages":[{"role":"user","content":"Hi"}],'
        b'"tools":[{"type":"function","function":{"name":"z","arguments":{"b":1,"a":2}}}]}'
    )


def test_pickled_view_holds_only_its_rows_with_their_origins() -> None:
    rows = numbered(1000)
    view = rows.take([5, 3])
    again: Rows = pickle.loads(pickle.dumps(view))
    assert list(again) == list(view)
    assert again.row_keys() == view.row_keys()
    assert again.flags() == view.flags()
    assert [again.origin(n) for n in range(2)] == [Origin("support.csv", 6), Origin("support.csv", 4)]
    assert len(pickle.dumps(view)) < 1000


def test_rows_are_read_from_many_threads_at_once() -> None:
    rows = numbered(2000)
    expected = list(rows)
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append(list(rows) == expected)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 4


def test_pages_are_handed_back_and_read_again() -> None:
    """More than the span that a store keeps mapped, forwards and in no order."""
    text = "x" * 50_000
    rows = rows_of(*(CompletionExample(str(n), text) for n in range(700)))
    assert [example.content()["prompt"] for example in rows] == [str(n) for n in range(700)]
    shuffled = [n * 311 % 700 for n in range(700)]
    assert [example.content()["prompt"] for example in rows.take(shuffled)] == [str(n) for n in shuffled]


@pytest.mark.parametrize(
    ("example", "code"),
    [
        (CompletionExample("cut \ud83d", "a"), "lone_surrogate"),
        (CompletionExample("q", "a", {"\udc00": 1}), "lone_surrogate"),
        (CompletionExample("q", "a", {"n": 2**70, "text": "\ud800"}), "lone_surrogate"),
        (CompletionExample("q", "a", {"n": float("nan")}), "wrong_type"),
        (CompletionExample("q", "a", {"n": float("inf")}), "wrong_type"),
        (CompletionExample("q", "a", {"n": 10**5000}), "wrong_type"),
        (CompletionExample("q", "a", {"when": ODD}), "wrong_type"),
        (CompletionExample("q", "a", {"map": ODD_KEY}), "wrong_type"),
        (CompletionExample("q", ODD), "wrong_type"),
        (ChatExample((Message("user", ODD),)), "wrong_type"),
    ],
)
def test_example_without_faithful_json_is_refused_and_nothing_is_stored(example: Example, code: str) -> None:
    builder = RowsBuilder("chat" if isinstance(example, ChatExample) else "completion")
    with pytest.raises(RowError) as caught:
        builder.add(example, line=1)
    assert caught.value.code == code
    assert caught.value.hint
    assert len(builder.build()) == 0


def test_metadata_nested_beyond_reason_is_refused() -> None:
    deep: JsonValue = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(RowError) as caught:
        rows_of(CompletionExample("q", "a", {"deep": deep}))
    assert caught.value.code == "too_deep"


def test_kinds_do_not_mix() -> None:
    with pytest.raises(ParameterError, match="completion example cannot stand among chat"):
        RowsBuilder("chat").add(CompletionExample("q", "a"), line=1)


def test_source_counts_add_up() -> None:
    source = Source(None, "records", None, None, False, None, 7, 2, (), {}, ())
    assert source.rows_in == 9


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_full_disk_is_a_storage_error_that_says_where() -> None:
    """A limit on the size of files stands in for a full disk: the kernel refuses the write in both cases."""
    program = """
import resource
from finetune_kit.errors import StorageError
from finetune_kit.records import CompletionExample
from finetune_kit.rows import RowsBuilder
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
builder = RowsBuilder("completion")
try:
    for line in range(100):
        builder.add(CompletionExample("q", "x" * 50_000), line=line)
    builder.build()
except StorageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "cannot be kept in the temporary folder" in done.stdout
    assert "TMPDIR" in done.stdout
    assert done.stderr == ""


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are seen in /proc")  # noqa: PTH112
def test_temporary_file_has_no_name_and_goes_with_the_rows() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    rows = numbered(10)
    opened = set(os.listdir("/proc/self/fd")) - before  # noqa: PTH208
    assert opened
    del rows
    assert not opened & set(os.listdir("/proc/self/fd"))  # noqa: PTH208


@given(st.lists(COMPLETIONS | st.builds(CompletionExample, TEXTS, TEXTS, st.just({"a": 1})), min_size=1), st.data())
def test_views_are_written_as_the_lines_of_their_rows(examples: list[CompletionExample], data: st.DataObject) -> None:
    """Rows may come twice, out of order, or one behind the other; blocks may have to be cut into single rows."""
    rows = rows_of(*examples)
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12), label="order")
    view = rows.take(order)
    expected = b"".join(rows.content_line(number) + b"\n" for number in order)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune_kit.rows._BLOCK_BYTES", data.draw(st.sampled_from([1, 8 << 20]), label="block"))
        assert b"".join(view.content_blocks()) == expected
    assert view.contents(range(len(view))) == expected
    assert view.content_bytes() == sum(view.content_lengths()) == len(expected)
    assert view.fit(len(expected))
    assert not view.fit(len(expected) - 1)


def test_rows_longer_than_a_size_are_named_by_their_numbers() -> None:
    rows = completions(("a", "b"), ("a" * 500, "b"), ("a", "b" * 600), ("c", "d"))
    whole, mixed = next(rows.batches()), next(rows.take([2, 0, 1]).batches())
    assert whole.longer_than(400) == [1, 2]
    assert mixed.longer_than(400) == [0, 2]
    assert mixed.longer_than(10_000) == []
    assert whole[2:].longer_than(400) == [2]
    assert rows.stored_lengths(range(4)) == list(rows.content_lengths())
    assert rows.take([]).stored_lengths(range(0)) == []


def test_metadata_counts_as_stored_and_not_as_content() -> None:
    rows = rows_of(CompletionExample("a", "b", {"note": "n" * 500}), CompletionExample("a", "b"))
    assert next(rows.batches()).longer_than(400) == [0]
    assert max(rows.content_lengths()) < 400


@given(st.lists(COMPLETIONS, min_size=1, max_size=8), st.integers(0, 400))
def test_rows_beyond_four_gigabytes_are_found_as_those_before(examples: list[CompletionExample], most: int) -> None:
    """With a limit that is reached earlier."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune_kit._spool._NARROW_MAX", most)
        rows = rows_of(*examples)
    assert list(rows) == examples
    assert list(pickle.loads(pickle.dumps(rows))) == examples
