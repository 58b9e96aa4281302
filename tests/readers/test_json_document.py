"""JSON documents of any layout give the rows that the standard library's parser sees, with their lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit.errors import EmptyDataError, EncodingError, FinetuneKitError, FormatError
from finetune_kit.readers import ReadResult, json_document, json_text, read_json
from finetune_kit.readers.json_text import LONGEST_VALUE
from finetune_kit.records import ChatExample, CompletionExample, Message
from tests.readers.test_real_files import DATA, NEEDS_DATA

ROW = {"prompt": "q", "completion": "a"}
# Text that looks like the start of another row.
TRAPS = ['},{"prompt"', '},\n {"prompt":', "[{", "]}", '\\"', "\\", "", "你好", "\r\n"]
KEYS = st.sampled_from(["x", "prompt2", "messages2", *TRAPS])
TEXTS = st.lists(st.sampled_from(TRAPS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
ROWS = st.builds(
    lambda prompt, completion, others, last: (
        {**others, "prompt": prompt, "completion": completion}
        if last
        else {"prompt": prompt, "completion": completion, **others}
    ),
    TEXTS,
    TEXTS,
    st.dictionaries(KEYS.map("x{}".format), VALUES | st.lists(st.just(ROW)), max_size=3),
    st.booleans(),
)
INDENT = st.sampled_from([None, 0, 1, 4])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.json"


def read(path: Path, text: str, encoding: str = "utf-8") -> ReadResult:
    path.write_bytes(text.encode(encoding))
    return read_json(path)


def expected(row: dict[str, Any]) -> CompletionExample:
    others = {key: value for key, value in row.items() if key not in ROW}
    return CompletionExample(row["prompt"], row["completion"], others)


@given(st.lists(ROWS, min_size=1, max_size=6), INDENT, ENCODINGS)
def test_array_is_read_as_the_standard_library_reads_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None, encoding: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "array.json"
    result = read(path, json.dumps(rows, indent=indent, ensure_ascii=encoding == "utf-8"), encoding)
    assert list(result.rows) == [expected(row) for row in rows]
    assert (result.source.format, result.source.rows_refused) == ("json", 0)


@given(st.lists(ROWS, min_size=1, max_size=5), st.dictionaries(KEYS, VALUES, max_size=2), INDENT)
def test_list_inside_an_object_is_found(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], others: dict[str, Any], indent: int | None
) -> None:
    others = {key: value for key, value in others.items() if not isinstance(value, list)}
    path = tmp_path_factory.getbasetemp() / "object.json"
    result = read(path, json.dumps({"v": {"n": [ROW]}, "data": rows, **others}, indent=indent))
    assert list(result.rows) == [expected(row) for row in rows]
    assert "The rows are the list under the key 'data'." in result.source.notes


@given(st.lists(ROWS, min_size=2, max_size=5), st.sampled_from([1, 4]), st.sampled_from(["\n", "\n\n", "", " "]))
def test_objects_one_after_another_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int, between: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "series.json"
    result = read(path, between.join(json.dumps(row, indent=indent) for row in rows))
    assert list(result.rows) == [expected(row) for row in rows]


PLAIN = st.builds(
    lambda prompt, completion, other, last: (
        {**other, "prompt": prompt, "completion": completion}
        if last
        else {"prompt": prompt, "completion": completion, **other}
    ),
    TEXTS,
    TEXTS | st.just("\ufffd"),
    st.dictionaries(KEYS, TEXTS | st.integers(-(2**65), 2**65) | st.booleans(), max_size=1),
    st.sampled_from([False, False, False, True]),
)


TALK = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


@given(
    st.lists(PLAIN | PLAIN | PLAIN | ROWS, min_size=1, max_size=20),
    INDENT,
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from([50, 200, 1 << 17]),
    st.data(),
)
def test_rows_read_together_are_those_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    indent: int | None,
    as_series: object,
    end: str,
    escaped: object,
    together: int,
    data: st.DataObject,
) -> None:
    """Many rows are parsed at once where that is sure to be the same; conversations where the first is one."""
    first = data.draw(st.sampled_from([{"prompt": "first", "completion": "row"}, TALK]), label="first")
    if first is TALK:
        rows = [
            TALK | {"messages": [{"role": "user", "content": str(row)}]} if number % 3 else row
            for number, row in enumerate(rows)
        ]
    texts = [json.dumps(row, indent=indent, ensure_ascii=bool(escaped)) for row in (first, *rows)]
    text = "\n".join(texts) if as_series else json.dumps([first, *rows], indent=indent, ensure_ascii=bool(escaped))
    path = tmp_path_factory.mktemp("json") / "rows.json"
    path.write_text(text.replace("\n", end), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_TOGETHER", together)
        patch.setattr(json_document, "_ROWS_SINGLY", 2)
        result = read_json(path)
        patch.setattr(json_document, "plain_pairs", lambda rows, raw, keys: None)
        patch.setattr(json_document, "plain_chats", lambda rows, raw: None)
        expected = read_json(path)
    assert list(result.rows) == list(expected.rows)
    assert [result.rows.origin(n) for n in range(len(result.rows))] == [
        expected.rows.origin(n) for n in range(len(expected.rows))
    ]
    assert result.source == expected.source


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_rows_have_the_line_on_which_they_start(file: Path, end: str) -> None:
    result = read(file, json.dumps([ROW, {"x": 1, **ROW}, ROW], indent=1).replace("\n", end))
    assert [result.rows.origin(number).line for number in range(3)] == [2, 6, 11]


def test_one_long_line_numbers_its_rows(file: Path) -> None:
    result = read(file, json.dumps([ROW, 4, ROW]))
    assert [result.rows.origin(0).line, result.source.refusals[0].line, result.rows.origin(1).line] == [1, 2, 3]
    assert "numbered as items" in result.source.notes[0]


def test_json_lines_under_this_name_are_read(file: Path) -> None:
    result = read(file, "\n".join([json.dumps(ROW), '{"prompt": "q"', json.dumps(ROW)]))
    assert (result.source.format, result.source.rows_read, result.source.rows_refused) == ("jsonl", 2, 1)


def test_one_conversation_is_a_row_and_not_a_list_of_rows(file: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    assert read(file, json.dumps({"id": "7", "messages": messages}, indent=1)).rows.kind == "chat"
    assert read(file, json.dumps([{"messages": messages}])).rows[0] == ChatExample((Message("user", "Hi"),))


def test_numbers_beyond_64_bits_stay_exact(file: Path) -> None:
    assert read(file, json.dumps([{**ROW, "n": 2**70}])).rows[0].metadata == {"n": 2**70}


def test_row_that_cannot_be_kept_costs_only_itself(file: Path) -> None:
    rows = [json.dumps(ROW), '{"prompt": "\\ud800", "completion": ""}', "null", '{"prompt": 1, "completion": "a"}']
    source = read(file, f"[{','.join(rows)}, {json.dumps(ROW)}]").source
    assert (source.rows_read, source.rows_refused) == (2, 3)
    assert [refusal.code for refusal in source.refusals] == ["lone_surrogate", "wrong_type", "wrong_type"]


GOOD = json.dumps(ROW)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"[{GOOD},\n{GOOD},]", "row 2: .*not valid JSON"),
        (f"[{GOOD}\n{GOOD}]", "row 2: a comma or ] should follow"),
        (f"[{GOOD},\n{GOOD}", "row 2: a comma or ] should follow"),
        (f"[{GOOD},\n", "row 2: the list is never closed"),
        (f'[{GOOD},\n{{"prompt": "q', "row 2: a list, an object or a text opened here is never closed"),
        (f"[{GOOD},\n{{'prompt': 1}}]", "row 2: item 2, which starts in row 2, is not valid JSON at its character 2"),
        (f'[{GOOD},\n{{"prompt": "q",\n"completion": NaN}}]', "row 3: item 2, which starts in row 2.*NaN, Infinity"),
        (f"[{GOOD}]\n]", "row 2: more text follows"),
        (f'{{"a": [{GOOD}]}}\n[]', "row 2: after an object another should follow"),
        (f'{{"a": [{GOOD}], }}', "row 1: the object around the list 'a' is not valid JSON"),
        (f'{{"a": [{GOOD}], "b": [{GOOD}]}}', "more than one list of objects: 'a', 'b'"),
        ('{\n"prompt": "q", "completion": "a"},\n{"x": 1}', "row 2: after an object another should follow"),
        ("prompt,completion\n", "row 1: these are no rows in JSON: the text begins with 'p'"),
        ("[" * 100_000, "nested deeper than"),
    ],
)
def test_syntax_error_has_its_line(file: Path, text: str, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        read(file, text)


@pytest.mark.parametrize("text", ["[]", " [ \n] ", "", "\n", '{"data": []}'])
def test_nothing_to_read_is_said(file: Path, text: str) -> None:
    with pytest.raises((EmptyDataError, FinetuneKitError)):
        read(file, text)


def test_byte_that_is_not_utf8_has_its_line(file: Path) -> None:
    file.write_bytes(b'[{"prompt": "\xe4\xbd\xa0",\n"completion": "caf\xe9"}]')
    with pytest.raises(EncodingError, match=r"row 2"):
        read_json(file, encoding="utf-8")


def test_rows_longer_than_a_piece_are_read(file: Path) -> None:
    rows = [{"prompt": "x" * size, "completion": '"}, {"prompt": "'} for size in (10, 3_000_000, 70_000, 10)]
    assert list(read(file, json.dumps(rows)).rows) == [expected(row) for row in rows]
    assert list(read(file, json.dumps(rows, indent=1)).rows) == [expected(row) for row in rows]


def test_value_without_end_is_refused_before_it_fills_the_memory(file: Path) -> None:
    with file.open("wb") as out:
        out.write(b'[{"prompt": "')
        out.truncate(LONGEST_VALUE * 3)  # a sparse file: all NUL
    with pytest.raises(FormatError, match="a value is longer than"):
        read_json(file)


@settings(max_examples=200)
@given(st.lists(st.sampled_from([*'[]{},:" \n\\', '"prompt"', '"completion"', GOOD, "1", "null"])).map("".join))
def test_document_is_accepted_only_if_the_standard_library_accepts_it(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    try:
        result = read(tmp_path_factory.getbasetemp() / "any.json", f"[{text}")
    except FinetuneKitError:
        return
    assert len(json.loads(f"[{text}")) == result.source.rows_in


@NEEDS_DATA
@pytest.mark.parametrize("kind", ["n", "y"])
def test_json_test_suite(kind: str, tmp_path: Path) -> None:
    """Every n_ is refused, alone and inside a row; every y_ inside a row is accepted."""
    paths = sorted((DATA / "05-bad-input/JSONTestSuite/test_parsing").glob(f"{kind}_*.json"))
    assert len(paths) > 90
    for path in paths:
        wrapped = tmp_path / "wrapped.json"
        wrapped.write_bytes(b'[{"prompt": "q", "completion": "a", "x": ' + path.read_bytes() + b"}]")
        if kind == "y":
            assert len(read_json(wrapped).rows) == 1, path.name
            continue
        with pytest.raises(FinetuneKitError):
            read_json(path)
        if b'"x": ' + path.read_bytes() != b'"x": ' and not _closes_the_row(path.read_bytes()):
            with pytest.raises(FinetuneKitError):
                read_json(wrapped)


def _closes_the_row(content: bytes) -> bool:
    """Whether the text, wrong alone, is right inside a row."""
    try:
        json.loads(b'[{"x": ' + content + b"}]", parse_constant=_no_number)
    except (ValueError, RecursionError):
        return False
    return True


@NEEDS_DATA
def test_real_documents_are_read() -> None:
    demos = DATA / "03-openai-finetune/llama-factory-demos"
    alpaca = read_json(demos / "alpaca_zh_demo_250.json")
    assert (len(alpaca.rows), alpaca.source.rows_refused) == (250, 0)
    array = read_json(DATA / "03-openai-finetune/chat-format/robot_chat_dataset_array.json")
    assert (len(array.rows), array.rows.kind) == (11, "chat")
    pretty = read_json(DATA / "03-openai-finetune/broken-licensed/pretty-printed-objects_crlf.jsonl")
    assert len(pretty.rows) == 25


def _no_number(name: str) -> float:
    raise ValueError(name)


@given(st.lists(ROWS, min_size=1, max_size=5), INDENT, st.sampled_from(["lists", "objects"]))
def test_columns_in_one_object_are_read(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], indent: int | None, layout: str
) -> None:
    rows = [{"prompt": row["prompt"], "completion": row["completion"], "n": 2**70 + n} for n, row in enumerate(rows)]
    columns: dict[str, Any] = {key: [row[key] for row in rows] for key in rows[0]}
    if layout == "objects":  # as pandas writes
        columns = {key: dict(zip(map(str, range(len(rows))), column, strict=True)) for key, column in columns.items()}
    result = read(tmp_path_factory.getbasetemp() / "columns.json", json.dumps(columns, indent=indent))
    assert list(result.rows) == [expected(row) for row in rows]
    assert any(note.startswith("The file holds one column after another") for note in result.source.notes)


def test_row_of_a_column_that_is_no_text_costs_only_itself(file: Path) -> None:
    result = read(file, '{"question": ["q", "r"], "answer": ["a", null], "id": [1, 2]}')
    assert list(result.rows) == [CompletionExample("q", "a", {"id": 1})]
    assert [(refusal.line, refusal.reason) for refusal in result.source.refusals] == [(2, "answer is null")]


def test_columns_of_different_length_are_refused(file: Path) -> None:
    with pytest.raises(FormatError, match=r"row 1: the column 'prompt' has 2 values, and 'completion' 1\. Each column"):
        read(file, '{"prompt": ["q", "r"], "completion": ["a"]}')


@pytest.mark.parametrize("other", ['"words": ["q", "r"]', '"first": {"x": 1}', '"prompt": ["q"]'])
def test_list_of_rows_goes_before_columns(file: Path, other: str) -> None:
    result = read(file, f'{{{other}, "data": [{json.dumps(ROW)}, {json.dumps(ROW)}]}}')
    assert len(result.rows) == 2


def test_line_separators_inside_a_text_end_no_line(file: Path) -> None:
    rows = [{"prompt": "q\u2028r\u2029\x85s", "completion": "a"}, ROW]
    result = read(file, "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert (len(result.rows), result.source.format) == (2, "jsonl")
