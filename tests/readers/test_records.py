"""Records in memory are read like the rows of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from types import MappingProxyType
from typing import Any

import pytest

from finetune_kit.errors import EmptyDataError, FormatError, ParameterError
from finetune_kit.readers import read_records
from finetune_kit.records import ChatExample, CompletionExample, Message

PAIR = CompletionExample("q", "a")
NOT_TEXT: Any = 4


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "q", "completion": "a"},
        {"question": "q", "answer": "a"},
        MappingProxyType({"text": "q", "label": "a"}),
        ("q", "a"),
        ["q", "a"],
        PAIR,
    ],
)
def test_every_shape_of_a_pair_is_read(record: object) -> None:
    result = read_records([record])
    assert list(result.rows) == [PAIR]
    assert (result.source.format, result.source.path, result.source.encoding) == ("records", None, None)


def test_iterator_is_read_once_and_numbered_from_one() -> None:
    def produce() -> Iterator[tuple[str, str]]:
        yield "q", "a"
        yield "q", "a"

    rows = read_records(produce()).rows
    assert [str(rows.origin(n)) for n in range(2)] == ["record 1", "record 2"]


def test_conversations_are_read() -> None:
    example = ChatExample((Message("user", "Hi"),), {"tools": []}, {"n": 1})
    result = read_records([{"messages": [{"role": "user", "content": "Hi"}], "tools": [], "n": 1}, example])
    assert list(result.rows) == [example, example]


def test_named_keys_are_used() -> None:
    result = read_records([{"q": "1", "r": "2", "s": "3"}], prompt="s", completion="r")
    assert list(result.rows) == [CompletionExample("3", "2", {"q": "1"})]


@pytest.mark.parametrize(
    ("record", "code", "reason"),
    [
        ("qa", "wrong_type", "the record is text"),
        (None, "wrong_type", "the record is null"),
        (("q",), "wrong_type", "the record has 1 items"),
        (("q", 4), "wrong_type", "completion is a number (4)"),
        ({"prompt": "q"}, "missing_field", "there is no prompt and completion; the row has: 'prompt'"),
        (
            {"prompt": "q", "completion": "a", "day": date(2026, 1, 1)},
            "wrong_type",
            "metadata holds a value of type date",
        ),
        (
            {"prompt": "q", "completion": "a", "n": float("nan")},
            "wrong_type",
            "metadata holds a number that is not finite",
        ),
        ({"prompt": "q", "completion": "\ud800"}, "lone_surrogate", "the text holds half of a surrogate pair"),
        ({"messages": []}, "mixed_kinds", "this is a chat row"),
        (CompletionExample("q", NOT_TEXT), "wrong_type", "completion is not text but int"),
    ],
)
def test_bad_record_is_refused_with_its_number(record: object, code: str, reason: str) -> None:
    source = read_records([PAIR, record, PAIR]).source
    assert (source.rows_read, source.rows_refused, source.rows_in) == (2, 1, 3)
    refusal = source.refusals[0]
    assert (refusal.line, refusal.code) == (2, code)
    assert refusal.reason.startswith(reason)
    assert refusal.text


def test_first_record_that_cannot_be_kept_does_not_decide_the_kind() -> None:
    chat = ChatExample((Message("user", "Hi"),))
    assert read_records([("\ud800", "a"), chat]).rows.kind == "chat"


@pytest.mark.parametrize("records", [{"prompt": "q", "completion": "a"}, "text", b"bytes"])
def test_one_row_is_not_taken_for_many(records: Iterable[object]) -> None:
    with pytest.raises(ParameterError, match="Put it into a list"):
        read_records(records)


def test_no_records_is_said() -> None:
    with pytest.raises(EmptyDataError, match="there are no rows"):
        read_records([])


def test_only_bad_records_gives_the_reasons() -> None:
    with pytest.raises(FormatError, match=r"none of the 2 rows could be read\. record 1: the record is a number \(1\)"):
        read_records([1, 2])


def test_only_row_that_cannot_be_read_is_called_so() -> None:
    with pytest.raises(FormatError, match=r"The records: the only row could not be read\. record 1: the record is"):
        read_records([7])
