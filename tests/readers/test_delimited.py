"""CSV comes back as typed, or is refused with the row, the reason and what to do."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.errors import ColumnError, EmptyDataError, FormatError, ParameterError
from finetune_kit.readers import ReadResult, delimited, encodings, read_csv, read_file
from finetune_kit.readers.delimited import LONGEST_CELL
from finetune_kit.records import CompletionExample, Message, PreferenceExample
from tests.readers.test_real_files import DATA, NEEDS_DATA

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "support.csv"


def read(path: Path, text: str | bytes, *, delimiter: str | None = None) -> ReadResult:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(path, delimiter=delimiter)


def pairs(result: ReadResult) -> list[tuple[str, str]]:
    return [(example.prompt, example.completion) for example in result.rows if isinstance(example, CompletionExample)]


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_csv_writes_is_read_back_equal(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    line_end: str,
    encoding: str,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL)
        writer.writerow(["prompt", "completion", "customer"])
        writer.writerows(rows)
    result = read_csv(path, delimiter=delimiter)
    assert list(result.rows) == [CompletionExample(p, c, {"customer": extra}) for p, c, extra in rows]
    assert result.source.rows_in == len(rows)


def test_values_stay_as_typed(table: Path) -> None:
    result = read(table, "prompt,completion\nNA,null\n01, 1.0 \n,\nNone,TRUE\n")
    assert pairs(result) == [("NA", "null"), ("01", " 1.0 "), ("", ""), ("None", "TRUE")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_and_line_breaks_in_cells(table: Path, end: str) -> None:
    result = read(table, end.join(["prompt,completion", f'"two{end}lines",a', "", "b,c"]))
    assert pairs(result) == [(f"two{end}lines", "a"), ("b", "c")]
    assert [result.rows.origin(n).line for n in range(2)] == [2, 5]
    assert str(result.rows.origin(1)) == f"{table} row 5"


def test_other_columns_become_metadata(table: Path) -> None:
    result = read(table, "id,question,answer,class\n7,q,a,x\n")
    assert result.rows[0] == CompletionExample("q", "a", {"id": "7", "class": "x"})
    assert result.source.columns == {"prompt": "question", "completion": "answer"}
    assert "'question' was taken as prompt" in result.source.notes[0]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_and_told(table: Path, delimiter: str) -> None:
    other = ";" if delimiter == "," else ","
    result = read(table, f"prompt{delimiter}completion\na{other} b{delimiter}c\n")
    assert pairs(result) == [(f"a{other} b", "c")]
    assert result.source.delimiter == delimiter
    assert result.source.format == ("tsv" if delimiter == "\t" else "csv")
    assert any("separated by" in note for note in result.source.notes) == (delimiter != ",")


def test_delimiter_fits_the_records_and_not_only_the_header(table: Path) -> None:
    result = read(table, "prompt, or question;completion, or answer\na;b\nc;d\n")
    assert pairs(result) == [("a", "b"), ("c", "d")]


@pytest.mark.parametrize("delimiter", ["", ",,", '"', "\n", "\0"])
def test_impossible_delimiter_is_refused(table: Path, delimiter: str) -> None:
    with pytest.raises(ParameterError, match="delimiter="):
        read(table, "prompt,completion\na,b\n", delimiter=delimiter)


def test_column_is_found_by_exact_name_then_without_case_and_spaces(table: Path) -> None:
    table.write_text("Frage ,Antwort,frage\nq,a,x\n", encoding="utf-8")
    assert read_csv(table, prompt="frage", completion="antwort").source.columns["prompt"] == "frage"
    table.write_text("Frage ,Antwort\nq,a\n", encoding="utf-8")
    assert read_csv(table, prompt="frage", completion="antwort").source.columns["prompt"] == "Frage "


def test_one_named_column_finds_its_partner(table: Path) -> None:
    table.write_text("text,label,question,answer\n1,2,3,4\n", encoding="utf-8")
    assert read_csv(table, prompt="text").source.columns == {"prompt": "text", "completion": "label"}
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    assert read_csv(table, completion="a").source.columns == {"prompt": "b", "completion": "a"}


def test_missing_column_lists_those_there_are_and_the_nearest(table: Path) -> None:
    table.write_text("question,answer\nq,a\n", encoding="utf-8")
    with pytest.raises(ColumnError, match=r"no column 'qestion'.*'question', 'answer'.*mean prompt='question'"):
        read_csv(table, prompt="qestion", completion="answer")
    with pytest.raises(ColumnError, match=r"Pass completion= with one of them"):
        read_csv(table, prompt="question", completion="zzz")


def test_unclear_columns_are_not_guessed(table: Path) -> None:
    with pytest.raises(ColumnError, match=r"not clear from their names: 'a', 'b', 'c'\. Pass prompt= and completion="):
        read(table, "a,b,c\n1,2,3\n")


def test_one_column_for_both_is_refused(table: Path) -> None:
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="both name the column 'a'"):
        read_csv(table, prompt="a", completion="A")


@pytest.mark.parametrize(
    "header",
    [
        "问题,答案",
        "提问,回答",
        "問題,答案",
        "質問,回答",
        "输入,输出",
        "文本,标签",
        "Text,Category",
        "utterance,intent",
        "x,y",
    ],
)
def test_pair_is_guessed(table: Path, header: str) -> None:
    result = read(table, f"{header}\n你好,再见\n")
    assert list(result.source.columns.values()) == header.split(",")
    assert len(result.source.notes) == 1


def test_ragged_rows_are_refused_with_their_line_and_text(table: Path) -> None:
    result = read(table, "prompt,completion\na,b\nc,d, e\nf\ng,h\n")
    assert pairs(result) == [("a", "b"), ("g", "h")]
    first, second = result.source.refusals
    assert (first.line, first.code, first.text) == (3, "ragged_row", "c,d, e")
    assert first.reason == "row has 3 cells where the header has 2"
    assert first.hint == "Quote cells that contain the delimiter"
    assert (second.line, second.reason) == (4, "row has 1 cell where the header has 2")
    assert (result.source.rows_read, result.source.rows_refused, result.source.rows_in) == (2, 2, 4)


def test_blank_columns_at_the_end_are_let_go(table: Path) -> None:
    result = read(table, "prompt,completion,,\na,b,,\nc,d\ne,f, ,\n")
    assert pairs(result) == [("a", "b"), ("c", "d"), ("e", "f")]
    assert result.rows[0].metadata == {}


def test_blank_name_between_is_called_by_its_position(table: Path) -> None:
    result = read(table, ",text,label\n0,a,b\n")
    assert result.rows[0].metadata == {"column 1": "0"}


def test_bad_quotes_cost_their_row_only(table: Path) -> None:
    result = read(table, 'prompt,completion\n"a"x,b\nc,d\n5" tall,e\n')
    assert pairs(result) == [("c", "d"), ('5" tall', "e")]
    assert (result.source.refusals[0].line, result.source.refusals[0].code) == (2, "bad_quotes")
    assert result.source.refusals[0].text == '"a"x,b'


def test_unclosed_quote_names_the_line_where_the_record_starts(table: Path) -> None:
    with pytest.raises(FormatError, match=r"row 3: a quote is opened here and never closed") as caught:
        read(table, 'prompt,completion\na,b\n"c,d\ne,f\n')
    assert caught.value.row == 3


def test_nul_is_refused_with_its_row(table: Path) -> None:
    result = read(table, "prompt,completion\na\0,b\nc,d\n")
    assert pairs(result) == [("c", "d")]
    assert (result.source.refusals[0].line, result.source.refusals[0].code) == (2, "nul")


def test_doubled_header_is_named(table: Path) -> None:
    with pytest.raises(FormatError, match=r"row 1: the header has names more than once: 'a'"):
        read(table, "a,b,a\n1,2,3\n")


@pytest.mark.parametrize("content", [b"", b"\n\r\n\n", b"prompt,completion\n", b"\xef\xbb\xbf"])
def test_nothing_to_read_is_said(table: Path, content: bytes) -> None:
    with pytest.raises(EmptyDataError, match=r"support\.csv"):
        read(table, content)


def test_all_rows_refused_gives_the_first_three_reasons(table: Path) -> None:
    with pytest.raises(FormatError, match=r"none of the 4 rows could be read\. row 2: .* row 3: .* row 4: ") as caught:
        read(table, "prompt,completion\na\nb\nc\nd\n")
    assert "row 5" not in str(caught.value)


def test_refusals_are_counted_beyond_the_thousand_that_are_kept(table: Path) -> None:
    source = read(table, "prompt,completion\na,b\n" + "x\n" * 1500).source
    assert (len(source.refusals), source.rows_refused, source.rows_in) == (1000, 1500, 1501)


def test_long_cell_is_read_and_the_limit_of_the_csv_module_is_as_before(table: Path) -> None:
    before = csv.field_size_limit()
    long = "x" * (before + 1)
    assert pairs(read(table, f"prompt,completion\n{long},b\n")) == [(long, "b")]
    assert csv.field_size_limit() == before


def test_cell_beyond_any_sense_is_refused_before_it_fills_the_memory(table: Path) -> None:
    line = "x" * 1_000_000 + "\n"
    with pytest.raises(FormatError, match=r"row 2: a cell is longer than .* Most likely a quote"):
        read(table, 'prompt,completion\n"' + line * (LONGEST_CELL // len(line) + 1))
    with pytest.raises(FormatError, match="a line is longer than"):
        read(table, "prompt,completion\n" + "x" * LONGEST_CELL)


def test_json_in_csv_clothing_is_called_what_it_is(table: Path) -> None:
    with pytest.raises(FormatError, match="this is JSON, not a table"):
        read(table, '{"prompt": "a", "completion": "b"}\n')


def test_csv_module_reads_the_same_table(table: Path) -> None:
    """The strict reader and the plain one agree wherever the table is sound."""
    text = 'prompt,completion\n"a ""b"" c","d,\ne"\n f , g \n'
    plain = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [list(pair) for pair in pairs(read(table, text))] == plain


def test_preference_pairs_stand_in_a_table_too(table: Path) -> None:
    result = read(table, "id,prompt,chosen,rejected\n1,Hi,Hello!,What?\n2,,a\n")
    asked, good, bad = Message("user", "Hi"), Message("assistant", "Hello!"), Message("assistant", "What?")
    assert list(result.rows) == [PreferenceExample((asked,), (good,), (bad,), metadata={"id": "1"})]
    assert result.source.columns == {
        "input": "prompt",
        "preferred_output": "chosen",
        "non_preferred_output": "rejected",
    }
    assert [refusal.code for refusal in result.source.refusals] == ["ragged_row"]
    named = read_csv(table, prompt="prompt", completion="chosen")
    assert list(named.rows) == [CompletionExample("Hi", "Hello!", {"id": "1", "rejected": "What?"})]


def test_table_without_a_header_loses_no_row(table: Path) -> None:
    table.write_text("\nWhere is it?,Here\nWhen?,Now\nWhy\n", encoding="utf-8", newline="")
    result = read_csv(table, header=False)
    assert list(result.rows) == [CompletionExample("Where is it?", "Here"), CompletionExample("When?", "Now")]
    assert [result.rows.origin(row).line for row in range(2)] == [2, 3]
    assert result.source.columns == {"prompt": "column 1", "completion": "column 2"}
    assert [(refusal.line, refusal.text) for refusal in result.source.refusals] == [(4, "Why")]
    swapped = read_csv(table, header=False, prompt="column 2", completion="column 1")
    assert swapped.rows[0] == CompletionExample("Here", "Where is it?")
    table.write_text("a,b\n", encoding="utf-8")
    assert len(read_csv(table, header=False).rows) == 1


def test_quotes_that_enclose_nothing_are_characters(table: Path) -> None:
    table.write_text('ham\t"Hi, he said\nspam\t5" screen "free""\n', encoding="utf-8")
    result = read_csv(table, delimiter="\t", header=False, quotes=False)
    assert list(result.rows) == [
        CompletionExample("ham", '"Hi, he said'),
        CompletionExample("spam", '5" screen "free""'),
    ]


@NEEDS_DATA
def test_every_message_of_a_table_without_header_and_quoting_is_read() -> None:
    path = next((DATA / "07-classification").rglob("sms_utf8.tsv"))
    result = read_file(path, header=False, quotes=False, prompt="column 2", completion="column 1")
    assert (len(result.rows), result.source.rows_refused) == (5574, 0)


ODD_CELLS = st.text('ab,;"\n\r\t \u2028\x0b\x85é好𠮷', max_size=8)


@given(
    st.lists(st.lists(ODD_CELLS, min_size=2, max_size=4), max_size=30),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from([1, 2, 3, 7, 64, 1 << 17]),
)
def test_rows_and_lines_are_those_of_the_csv_module_however_the_file_is_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], end: str, closed: object, piece: int
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [["prompt", "completion", "id"], ["first", "row", "1"], *rows]
    )
    written = text.getvalue() if closed else text.getvalue().removesuffix(end)
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    path.write_bytes(written.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "_PIECE_BYTES", piece)
        patch.setattr(delimited, "BATCH_ROWS", 3)
        result = read_csv(path, delimiter=",")
    expected: list[tuple[int, CompletionExample]] = []
    refused: list[int] = []
    reader = csv.reader(io.StringIO(written, newline=""))
    line = 1
    for cells in reader:
        line, start = reader.line_num + 1, line
        if len(cells) >= 3 and not "".join(cells[3:]).strip():
            expected.append((start, CompletionExample(cells[0], cells[1], {"id": cells[2]})))
        else:
            refused.append(start)
    assert [(result.rows.origin(n).line, row) for n, row in enumerate(result.rows)] == expected[1:]
    assert [refusal.line for refusal in result.source.refusals] == refused


@pytest.mark.parametrize("line", ["sep=;\r\n", "SEP=;\n", '"sep=;"\r\n'])
@pytest.mark.parametrize("delimiter", [None, ";"])
def test_line_that_names_the_separator_for_excel_is_no_header(tmp_path: Path, line: str, delimiter: str | None) -> None:
    path = tmp_path / "excel.csv"
    path.write_bytes(f"{line}prompt;completion\r\na,b;c\r\nd\r\n".encode())
    result = read_csv(path, delimiter=delimiter)
    assert list(result.rows) == [CompletionExample("a,b", "c")]
    assert (str(result.rows.origin(0)), result.source.refusals[0].line) == (f"{path} row 3", 4)
    assert next(iter(read_csv(path, header=False).rows)) == CompletionExample("prompt", "completion")
