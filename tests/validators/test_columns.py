"""Other columns are told: that they are not trained on, and where their values change type."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.records import ChatExample, CompletionExample, JsonValue, Message
from finetune_kit.rows import Rows
from finetune_kit.validators import ColumnTypes, ExtraColumns, Severity, validate
from tests.rows_of import chats, completions, rows_of

RULES = (ExtraColumns(), ColumnTypes())


def with_metadata(*metadata: dict[str, JsonValue]) -> Rows:
    return rows_of(CompletionExample(f"q{number}", "a", more) for number, more in enumerate(metadata))


def told(rows: Rows) -> list[str]:
    issues = validate(rows, RULES).issues
    assert all(issue.severity is Severity.INFO for issue in issues)
    return [issue.message for issue in issues]


def test_the_names_of_all_columns_are_one_note() -> None:
    rows = with_metadata({"customer": "a"}, {}, {"customer": "b", "date": "2024-01-05"})
    assert told(rows) == ["2 columns are not trained on: 'customer', 'date'"]
    assert told(with_metadata({"customer": "a"})) == ["1 column is not trained on: 'customer'"]


def test_no_columns_and_nothing_is_told() -> None:
    assert told(with_metadata({}, {})) == told(completions()) == []


def test_ten_are_named_and_the_others_counted() -> None:
    [message] = told(with_metadata({f"c{number}": 1 for number in range(12)}))
    assert message.startswith("12 columns are not trained on: 'c0', ")
    assert message.endswith("'c9' and 2 more")


def test_a_column_of_two_types_is_told_with_their_counts() -> None:
    rows = with_metadata({"id": 1}, {"id": "2"}, {"id": 3.5}, {"id": None})
    assert told(rows)[0] == "the column 'id' has values 2 of type number and 1 of type text"


def test_numbers_of_both_kinds_and_missing_values_are_one_type() -> None:
    assert told(with_metadata({"id": 1}, {"id": 2.5}, {"id": None}, {})) == ["1 column is not trained on: 'id'"]


def test_whole_numbers_beyond_64_bits_count_as_well() -> None:
    assert len(told(with_metadata({"id": 10**30}, {"id": "a"}))) == 2


def test_columns_of_conversations_count_as_well() -> None:
    turns = (Message("user", "Hello"), Message("assistant", "Hi"))
    assert told(chats(ChatExample(turns, {"tools": []}, {"customer": 1}))) == ["1 column is not trained on: 'customer'"]


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.characters(codec="utf-8")), st.just([1]))


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=300))
def test_every_column_is_named_whatever_it_holds(metadata: list[dict[str, JsonValue]]) -> None:
    messages = [issue.message for issue in validate(with_metadata(*metadata), [ExtraColumns()]).issues]
    names = {name for more in metadata for name in more}
    assert {name for name in "abc" if any(repr(name) in message for message in messages)} == names
