"""JSON Lines come back equal, and a bad line costs only itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import ColumnError, EmptyDataError, EncodingError, FormatError
from finetune_kit.readers import ReadResult, encodings, jsonl, read_jsonl
from finetune_kit.readers.jsonl import LONGEST_LINE
from finetune_kit.records import ChatExample, CompletionExample, Message
from finetune_kit.rows import Refusal
from tests.test_rows import CHATS, COMPLETIONS

GOOD = '{"prompt": "q", "completion": "a"}'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.jsonl"


def read(path: Path, *lines: str | bytes) -> ReadResult:
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    return read_jsonl(path)


def refusal_of(path: Path, line: str | bytes) -> Refusal:
    """What is said of a line between two good ones."""
    result = read(path, GOOD, line, GOOD)
    assert (result.source.rows_read, result.source.rows_refused, result.source.rows_in) == (2, 1, 3)
    assert result.source.refusals[0].line == 2
    return result.source.refusals[0]


@given(st.lists(COMPLETIONS, min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_completion_rows_are_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory, examples: list[CompletionExample], encoding: str
) -> None:
    examples = [
        CompletionExample(e.prompt, e.completion, {f"x-{k}": v for k, v in e.metadata.items()}) for e in examples
    ]
    path = tmp_path_factory.mktemp("jsonl") / "t.jsonl"
    lines = [json.dumps({**e.metadata, **e.content()}, ensure_ascii=False) for e in examples]
    path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
    assert list(read_jsonl(path).rows) == examples


@given(st.lists(CHATS, min_size=1, max_size=5))
def test_chat_rows_are_read_back_equal(tmp_path_factory: pytest.TempPathFactory, examples: list[ChatExample]) -> None:
    examples = [ChatExample(e.messages, e.more, {f"x-{k}": v for k, v in e.metadata.items()}) for e in examples]
    path = tmp_path_factory.mktemp("jsonl") / "t.jsonl"
    path.write_text("\n".join(json.dumps({**e.metadata, **e.content()}) for e in examples), encoding="utf-8")
    result = read_jsonl(path)
    assert list(result.rows) == examples
    assert result.source.columns == {"messages": "messages"}


def test_rows_are_kept_alike_whichever_key_comes_first(file: Path) -> None:
    first = '{"prompt":"p","completion":"x"}'
    rows = read(file, first, '{"prompt":"q","completion":"a"}', '{"completion":"a","prompt":"q"}').rows
    assert rows.content_line(1) == rows.content_line(2) == b'{"prompt":"q","completion":"a"}'
    assert rows.digest(1) == rows.digest(2)
    turned = read(file, *['{"completion":"a","prompt":"q"}'] * 3).rows
    assert turned.content_line(2) == b'{"prompt":"q","completion":"a"}'


def test_what_rows_write_is_read_back_with_the_same_digests(file: Path) -> None:
    first = read(file, GOOD, '{"prompt": "多少钱?", "completion": "😀 \\u0000"}').rows
    file.write_bytes(b"\n".join(first.content_lines()))
    second = read_jsonl(file).rows
    assert [second.digest(n) for n in range(2)] == [first.digest(n) for n in range(2)]


def test_chat_row_keeps_host_keys_apart_from_metadata(file: Path) -> None:
    row = {
        "messages": [
            {"role": "user", "content": "Hi", "name": "Ann"},
            {"role": "assistant", "tool_calls": [{"id": "1"}]},
        ],
        "tools": [{"type": "function"}],
        "customer": 2**70,
    }
    assert read(file, json.dumps(row)).rows[0] == ChatExample(
        (Message("user", "Hi", {"name": "Ann"}), Message("assistant", None, {"tool_calls": [{"id": "1"}]})),
        {"tools": [{"type": "function"}]},
        {"customer": 2**70},
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_of_every_system_and_blank_lines(file: Path, end: bytes) -> None:
    file.write_bytes(end.join([GOOD.encode(), b"", b"  ", GOOD.encode(), b""]))
    result = read_jsonl(file)
    assert [result.rows.origin(n).line for n in range(2)] == [1, 4]
    assert result.source.rows_in == 2


def test_named_and_guessed_keys(file: Path) -> None:
    file.write_text('{"question": "q", "answer": "a", "n": 1}', encoding="utf-8")
    guessed, named = read_jsonl(file), read_jsonl(file, prompt="Question", completion="answer")
    assert list(guessed.rows) == list(named.rows) == [CompletionExample("q", "a", {"n": 1})]
    assert len(guessed.source.notes) == 1
    assert named.source.notes == ()


def test_missing_named_key_says_which_there_are(file: Path) -> None:
    file.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ColumnError, match=r"row has: 'prompt', 'completion'.*You asked for 'frage'"):
        read_jsonl(file, prompt="frage")


def test_refused_first_row_does_not_settle_the_columns(file: Path) -> None:
    result = read(file, '{"a": "x", "b": 2}', '{"question": 1, "answer": "a"}', '{"text": "q", "label": "a"}')
    assert list(result.rows) == [CompletionExample("q", "a")]
    assert result.source.columns == {"prompt": "text", "completion": "label"}


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        ('{"prompt": "q", "completion": 4}', "wrong_type", "completion is a number (4)"),
        ('{"prompt": null, "completion": "a"}', "wrong_type", "prompt is null"),
        ('{"prompt": "q", "completion": true}', "wrong_type", "completion is true"),
        ('{"prompt": ["q"], "completion": "a"}', "wrong_type", "prompt is a list"),
        ('{"prompt": "q", "completion": {}}', "wrong_type", "completion is an object"),
        ('{"prompt": "q", "answer": "a"}', "missing_field", "'completion' is missing; the row has: 'prompt', 'answer'"),
        ('["q", "a"]', "wrong_type", "the row is a list"),
        ('"q"', "wrong_type", "the row is text"),
        ('{"messages": []}', "mixed_kinds", "this is a chat row, but the rows before it are completion rows"),
        ('{"prompt": "q", "completion": "\\ud83d"}', "lone_surrogate", "not valid JSON at column 32"),
        ('{"prompt": "q", "completion": "a",}', "bad_json", "not valid JSON at column 34"),
        ('{"prompt": "q", "completion": NaN}', "bad_json", "not valid JSON at column 31"),
        ('{"prompt": "q"', "bad_json", "not valid JSON at column 15"),
        ('{"prompt": "q\0", "completion": "a"}', "bad_json", "not valid JSON at column 14"),
        ("# a comment", "bad_json", "not valid JSON at column 1"),
        ("[" * 5000, "too_deep", "not valid JSON"),
        ('{"prompt": "q", "completion": "a", "x": ' + "[" * 500 + "]" * 500 + "}", "too_deep", "metadata is nested"),
        ('{"prompt": "q", "completion": "a", "x": ' + "9" * 309 + "}", "bad_json", "not valid JSON"),
    ],
)
def test_bad_line_is_refused_with_its_reason(file: Path, line: str, code: str, reason: str) -> None:
    refusal = refusal_of(file, line)
    assert (refusal.code, refusal.text) == (code, line[:200])
    assert refusal.reason.startswith(reason)
    assert refusal.hint


TWICE = '{"prompt": "q", "prompt": "r", "completion": "a"}'


@pytest.mark.parametrize(
    "line", [TWICE, '{"prompt": "r", "completion": "a", "x": {"k": 1, "k" : 2}}', TWICE.replace(":", " :")]
)
def test_key_that_stands_twice_is_told(file: Path, line: str) -> None:
    result = read(file, '{"prompt": "p", "completion": "x"}', line, '{"prompt": "z", "completion": "x"}', line)
    (note,) = result.source.notes
    assert note.startswith(f"2 rows have a key twice in one object, first in {file} row 2;")
    assert result.rows[1] == CompletionExample("r", "a", result.rows[1].metadata)


def test_text_that_looks_like_keys_is_not_told(file: Path) -> None:
    row = {"prompt": 'the key "prompt": and "prompt":', "completion": '\\"prompt":', "key\\": 1, '"x"': "a"}
    assert read(file, json.dumps(row), json.dumps(row, separators=(",", ":"))).source.notes == ()


def test_number_says_how_to_write_it(file: Path) -> None:
    assert refusal_of(file, '{"prompt": "q", "completion": 4}').hint == 'Write it as a string: "4"'


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ('{"prompt": "q", "completion": "a", "score": NaN}', "NaN, Infinity, None, True and False are Python's words"),
        ('{"prompt": "q", "completion": "a", "score": -Infinity}', "NaN, Infinity, None, True and False"),
        ('{"prompt": "q", "completion": None}', "NaN, Infinity, None, True and False"),
        ("{'prompt': 'q', 'completion': 'a'}", "Keys and texts stand between straight double quotes"),
        ("{\u201cprompt\u201d: 1}", "Keys and texts stand between straight double quotes"),
        ("Nothing here", "Each line must be one whole JSON object"),
        ('{"prompt": "q"', "Each line must be one whole JSON object"),
    ],
)
def test_hint_knows_what_people_take_for_json(file: Path, line: str, hint: str) -> None:
    assert refusal_of(file, line).hint.startswith(hint)


def test_bad_json_has_its_column(file: Path) -> None:
    assert refusal_of(file, '{"prompt": "q" "completion": "a"}').column == 16


@pytest.mark.parametrize(
    ("messages", "code", "reason"),
    [
        ('"Hi"', "wrong_type", "messages is text"),
        ('["Hi"]', "wrong_type", "messages[0] is text"),
        ('[{"content": "Hi"}]', "missing_field", "messages[0].role is missing; the message has: 'content'"),
        ('[{"role": 1, "content": "Hi"}]', "wrong_type", "messages[0].role is a number (1)"),
        ('[{"role": "user"}, {"role": "user", "content": 4}]', "wrong_type", "messages[1].content is a number (4)"),
        (
            '[{"role": "user", "content": [{"type": "text"}]}]',
            "missing_field",
            "messages[0].content[0].text is missing; the part has: 'type'",
        ),
    ],
)
def test_bad_conversation_is_refused_with_the_path_to_the_value(
    file: Path, messages: str, code: str, reason: str
) -> None:
    good = '{"messages": [{"role": "user", "content": "Hi"}]}'
    refusal = read(file, good, f'{{"messages": {messages}}}').source.refusals[0]
    assert (refusal.line, refusal.code, refusal.reason) == (2, code, reason)


def test_completion_row_among_chats_is_refused(file: Path) -> None:
    result = read(file, '{"messages": []}', GOOD)
    assert result.rows.kind == "chat"
    assert result.source.refusals[0].code == "mixed_kinds"
    assert result.source.columns == {"messages": "messages"}


@pytest.mark.parametrize(
    "text",
    [
        f"[{GOOD},\n{GOOD}]",
        f"[{GOOD}]",
        f"[\n  {GOOD}\n]\n",
        f"[{GOOD}, {GOOD}",
        json.dumps([{"prompt": "q", "completion": "a"}] * 3, indent=1),
    ],
)
def test_json_array_is_called_what_it_is(file: Path, text: str) -> None:
    with pytest.raises(FormatError, match=r"this is one JSON array.*Dataset\.from_json"):
        read(file, text)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_pretty_printed_objects_are_called_what_they_are(file: Path, end: str) -> None:
    text = orjson.dumps(orjson.loads(GOOD), option=orjson.OPT_INDENT_2).decode().replace("\n", end)
    with pytest.raises(FormatError, match="spread over several lines"):
        read(file, text, text)


def test_all_lines_refused_gives_the_first_three_reasons(file: Path) -> None:
    with pytest.raises(FormatError, match=r"none of the 4 rows could be read\. row 1: .* row 3: "):
        read(file, "a", "b", "c", "d")


def test_rare_reasons_are_named_among_many_equal_ones(file: Path) -> None:
    other = '{"a": 1}'
    with pytest.raises(FormatError, match=r"row 1: there is no prompt.* row 5: not valid JSON.* row 8: not valid JSON"):
        read(file, *[other] * 4, "{a: 1}", other, other, "{a: 1}", other)


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff"])
def test_nothing_to_read_is_said(file: Path, text: str) -> None:
    with pytest.raises(EmptyDataError):
        read(file, text)


def test_line_without_end_is_refused_before_it_fills_the_memory(file: Path) -> None:
    with file.open("wb") as out:
        out.write(GOOD.encode() + b"\n")
        out.truncate(LONGEST_LINE + 1000)  # a sparse file: all NUL
    with pytest.raises(FormatError, match=r"row 2: the line is longer than"):
        read_jsonl(file)


@pytest.mark.parametrize("prefix", [b"\xef\xbb\xbf", b""])
def test_byte_that_is_not_the_named_utf8_is_an_encoding_error(file: Path, prefix: bytes) -> None:
    file.write_bytes(prefix + GOOD.encode() + b'\n{"prompt": "caf\xe9", "completion": "a"}\n')
    with pytest.raises(EncodingError, match=r"row 2: the byte 0xe9 at offset"):
        read_jsonl(file, encoding="utf-8")


def test_chinese_encodings_are_read(file: Path) -> None:
    lines = [
        json.dumps({"prompt": f"第{n}个问题是什么", "completion": "我们的营业时间是早上九点"}, ensure_ascii=False)
        for n in range(20)
    ]
    file.write_bytes("\n".join(lines).encode("gb18030"))
    result = read_jsonl(file)
    assert result.source.encoding == "gb18030"
    assert result.rows[3] == CompletionExample("第3个问题是什么", "我们的营业时间是早上九点")


FLAT = st.fixed_dictionaries(
    {
        "prompt": st.text(st.characters(exclude_categories=["Cs"])),
        "completion": st.text('ab{}\n\\"，好\ufffdÃ©', max_size=9),
    },
    optional={"id": st.integers(-9, 9) | st.text(max_size=3) | st.booleans() | st.none() | st.just([{"a": 1}])},
)
BROKEN = st.sampled_from(
    ['{"prompt":"a"', '"completion":"b"}', "", " ", "[1]", '{"prompt":1,"completion":"b"}', '{"a":[{}', "{}]}"]
)


@given(
    st.lists(FLAT | BROKEN, min_size=1, max_size=30),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.sampled_from([64, 1 << 17]),
)
def test_lines_read_together_are_those_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any], end: str, escaped: object, block: int
) -> None:
    """Blocks of lines are parsed at once where that is sure to be the same."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=bool(escaped)) for row in rows]
    path = tmp_path_factory.mktemp("jsonl") / "rows.jsonl"
    path.write_text('{"prompt": "first", "completion": "row"}' + end + end.join(lines), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "_PIECE_BYTES", block)
        result = read_jsonl(path)
        patch.setattr(jsonl, "plain_pairs", lambda rows, raw, keys: None)
        expected = read_jsonl(path)
    assert list(result.rows) == list(expected.rows)
    assert [result.rows.origin(n) for n in range(len(result.rows))] == [
        expected.rows.origin(n) for n in range(len(expected.rows))
    ]
    assert result.source == expected.source


TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant"]), "content": st.text(max_size=9)},
    optional={"weight": st.sampled_from([0, 1])},
) | st.sampled_from(
    [{"content": "b", "role": "user"}, {"role": "user", "content": None}, {"role": "a", "content": "É \ufffd Ã©"}]
)
CHAT = st.fixed_dictionaries(
    {"messages": st.lists(TURN, max_size=4)}, optional={"id": st.integers(), "tools": st.just([])}
)
BROKEN_CHAT = st.sampled_from(
    ['{"messages":[{"role":"user","content":"a"}', '{"messages":"b"}]}', "{}]}", '{"messages":[{"role":"user"}]}', ""]
)


@given(
    st.lists(CHAT | BROKEN_CHAT, min_size=1, max_size=20),
    st.sampled_from([None, (",", ":")]),
    st.booleans(),
    st.sampled_from([64, 1 << 17]),
)
def test_conversations_read_together_are_those_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[Any],
    separators: tuple[str, str] | None,
    escaped: object,
    block: int,
) -> None:
    lines = [
        row if isinstance(row, str) else json.dumps(row, ensure_ascii=bool(escaped), separators=separators)
        for row in rows
    ]
    path = tmp_path_factory.mktemp("jsonl") / "rows.jsonl"
    first = '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}\n'
    path.write_text(first + "\n".join(lines), encoding="utf-8", newline="")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "_PIECE_BYTES", block)
        result = read_jsonl(path)
        patch.setattr(jsonl, "plain_chats", lambda rows, raw: None)
        expected = read_jsonl(path)
    numbers = range(len(expected.rows))
    assert result.rows.records(numbers) == expected.rows.records(numbers)
    assert result.rows.row_keys() == expected.rows.row_keys()
    assert result.rows.flags() == expected.rows.flags()
    assert [result.rows.origin(n) for n in numbers] == [expected.rows.origin(n) for n in numbers]
    assert result.source == expected.source


def test_conversation_over_two_lines_is_not_put_together(file: Path) -> None:
    """Though there are as many objects as lines, and a comma at each line end would make them valid."""
    whole = '{"messages":[{"role":"user","content":"a"}]}'
    result = read(
        file, whole, '{"messages":[{"role":"user","content":"a"}', '{"role":"user","content":"b"}]}', f"{whole},{whole}"
    )
    assert [refusal.line for refusal in result.source.refusals] == [2, 3, 4]
