"""Workbooks read as a person sees them, and a bad one is called what it is, whatever its parser does."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit.errors import ColumnError, EmptyDataError, FinetuneKitError, FormatError, ParameterError
from finetune_kit.readers import ReadResult, read_xlsx, sheets
from finetune_kit.records import CompletionExample, Message, PreferenceExample
from tests.readers.test_real_files import DATA, NEEDS_DATA
from tests.readers.workbooks import MAIN, Cell, write_raw, write_workbook

HEADER: list[Cell] = ["prompt", "completion"]
# XML holds no control characters, and an empty cell is no row; surrogates are no text.
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn"]), min_size=1).filter(
    lambda text: bool(text.strip())
)


@pytest.fixture
def book(tmp_path: Path) -> Path:
    return tmp_path / "book.xlsx"


def read(path: Path, *rows: Sequence[Cell]) -> ReadResult:
    return read_xlsx(write_workbook(path, {"Sheet1": rows}))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ("01", "01"),
        ("NA", "NA"),
        ("1.0", "1.0"),
        (" two\nlines ", " two\nlines "),
        (7, "7"),
        (7.0, "7"),
        (-7, "-7"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.3"),
        (23.310000000000002, "23.31"),
        (1234567890123, "1234567890123"),
        (4.25e-7, "4.25E-07"),
        (1e25, "1E+25"),
        (True, "TRUE"),
        (False, "FALSE"),
        (date(2024, 1, 5), "2024-01-05"),
        (datetime(2024, 1, 5, 13, 30, tzinfo=UTC), "2024-01-05 13:30:00"),
        (time(13, 30, 5), "13:30:05"),
        (timedelta(hours=255, minutes=10, seconds=10), "255:10:10"),
        (None, ""),
    ],
)
def test_cell_reads_as_a_person_reads_it(book: Path, cell: Cell, text: str) -> None:
    assert read(book, HEADER, ["q", cell], ["q", "a"]).rows[0] == CompletionExample("q", text)


@settings(max_examples=10)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=20))
def test_texts_come_back_equal(tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]]) -> None:
    path = tmp_path_factory.mktemp("xlsx") / "t.xlsx"
    assert list(read(path, HEADER, *pairs).rows) == [CompletionExample(*pair) for pair in pairs]


def test_header_is_the_first_row_that_is_not_blank(book: Path) -> None:
    result = read(book, [], [None, " "], [None, "question", "answer", "class"], [], [None, "q", "a", 5])
    assert list(result.rows) == [CompletionExample("q", "a", {"class": "5"})]
    assert str(result.rows.origin(0)) == f"{book} row 5"
    assert (result.source.format, result.source.encoding) == ("xlsx", None)


def test_cells_beyond_the_header_are_kept_by_their_position(book: Path) -> None:
    rows = read(book, HEADER, ["q", "a", None, "note"], ["r", "b"]).rows
    assert [row.metadata for row in rows] == [{"column 4": "note"}, {}]


def test_instruction_and_input_become_the_prompt(book: Path) -> None:
    result = read(book, ["instruction", "input", "output"], ["Add", "1 + 1", "2"], ["Greet", None, "Hi"])
    assert list(result.rows) == [CompletionExample("Add\n1 + 1", "2"), CompletionExample("Greet", "Hi")]
    assert "with 'input' on a new line" in result.source.notes[0]


def test_sheet_without_a_header_loses_no_row(book: Path) -> None:
    write_workbook(book, {"A": [["", ""], ["When?", "Now"], ["Where?", "Here"]]})
    result = read_xlsx(book, header=False)
    assert list(result.rows) == [CompletionExample("When?", "Now"), CompletionExample("Where?", "Here")]
    assert [result.rows.origin(row).line for row in range(2)] == [2, 3]


def test_preference_pairs_stand_in_a_sheet_too(book: Path) -> None:
    write_workbook(book, {"A": [["prompt", "chosen", "rejected"], ["Hi", "Hello!", "What?"], ["Hi", "", "What?", "x"]]})
    result = read_xlsx(book)
    asked, bad = (Message("user", "Hi"),), (Message("assistant", "What?"),)
    assert list(result.rows) == [
        PreferenceExample(asked, (Message("assistant", "Hello!"),), bad),
        PreferenceExample(asked, (Message("assistant", ""),), bad, metadata={"column 4": "x"}),
    ]


@given(
    st.lists(st.lists(st.sampled_from(["", " ", "a", "b c", "\u3000"]), min_size=4, max_size=4), min_size=1, max_size=9)
)
def test_rows_read_together_are_those_read_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("xlsx") / "book.xlsx"
    write_workbook(path, {"A": [["prompt", "completion", "id"], ["first", "row", "1"], *rows]})
    result = read_xlsx(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sheets, "_are_plain", lambda rows, width: False)
        expected = read_xlsx(path)
    assert list(result.rows) == list(expected.rows)
    assert [result.rows.origin(n) for n in range(len(result.rows))] == [
        expected.rows.origin(n) for n in range(len(expected.rows))
    ]
    assert result.source == expected.source


def test_sheet_is_chosen_by_name_or_number_and_others_are_told(book: Path) -> None:
    rows: list[list[Cell]] = [HEADER, ["q", "a"]]
    write_workbook(book, {"Notes": [], "Data": rows, "Old": [*rows, ["q2", "a2"]]})
    first = read_xlsx(book)
    assert len(first.rows) == 1
    assert first.source.notes == (
        "The sheet 'Data' was read. Other sheets hold rows that were not: 'Old' (3). Pass sheet= to choose.",
    )
    for sheet in ("Old", "old ", 3):
        chosen = read_xlsx(book, sheet=sheet)
        assert (len(chosen.rows), "'Data' (2)." in chosen.source.notes[0]) == (2, True)


def test_visible_sheet_goes_before_a_hidden_one(book: Path) -> None:
    rows: list[list[Cell]] = [HEADER, ["q", "a"]]
    write_workbook(book, {"Secret": [*rows, ["q2", "a2"]], "Data": rows}, hidden=["Secret"])
    assert len(read_xlsx(book).rows) == 1
    write_workbook(book, {"Secret": rows}, hidden=["Secret"])
    assert read_xlsx(book).source.notes == ("The sheet 'Secret' is hidden; no visible one holds anything.",)


@pytest.mark.parametrize("sheet", ["Dta", 3, -1])
def test_unknown_sheet_lists_those_there_are(book: Path, sheet: str | int) -> None:
    write_workbook(book, {"Data": [], "Old": []})
    with pytest.raises(ParameterError, match=rf"no sheet {sheet!r}\. The sheets are: 1 'Data', 2 'Old'\. Pass sheet="):
        read_xlsx(book, sheet=sheet)


@pytest.mark.parametrize("sheet", [0, True])
def test_sheets_are_counted_from_one(book: Path, sheet: int) -> None:
    write_workbook(book, {"Data": []})
    with pytest.raises(ParameterError, match="counted from 1"):
        read_xlsx(book, sheet=sheet)


def test_empty_sheet_names_those_with_rows(book: Path) -> None:
    write_workbook(book, {"Data": [HEADER], "Old": [HEADER, ["q", "a"]]})
    with pytest.raises(EmptyDataError, match=r"sheet 'Data': there is a header \('prompt', 'completion'\).*in 'Old'"):
        read_xlsx(book)


def test_missing_and_doubled_columns_are_named(book: Path) -> None:
    write_workbook(book, {"Data": [["a", "b", "c"], ["1", "2", "3"]]})
    with pytest.raises(ColumnError, match="no column 'x'"):
        read_xlsx(book, prompt="x")
    write_workbook(book, {"Data": [[], ["a", "b", "a"]]})
    with pytest.raises(FormatError, match=r"row 2: the header has names more than once: 'a'"):
        read_xlsx(book)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"prompt,completion\na,b\n", r"not a workbook, whatever its name says.*Dataset\.from_file"),
        (b"\xef\xbb\xbf<html><table><tr><td>a</td></tr></table></html>", "an HTML page"),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
            "Spreadsheet of 2003",
        ),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"\0" * 100, "NUL bytes"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1000, "cut off or damaged"),
        (b"PK\x03\x04 and no more", "cut off or damaged"),
        (b"PK\x05\x06" + b"\0" * 18, "a ZIP file without a workbook"),
    ],
)
def test_other_file_under_this_name_is_called_what_it_is(book: Path, content: bytes, what: str) -> None:
    book.write_bytes(content)
    with pytest.raises(FormatError, match=rf"book\.xlsx: .*{what}"):
        read_xlsx(book)


@pytest.mark.parametrize(
    ("member", "what"),
    [("word/document.xml", "a Word or PowerPoint"), ("rows.csv", r"a ZIP file .* it holds rows\.csv")],
)
def test_other_archive_is_called_what_it_is(book: Path, member: str, what: str) -> None:
    with zipfile.ZipFile(book, "w") as archive:
        archive.writestr(member, "x")
    with pytest.raises(FormatError, match=what):
        read_xlsx(book)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_cut_workbook_is_refused(book: Path, part: float) -> None:
    whole = write_workbook(book, {"Data": [HEADER, ["q", "a"]]}).read_bytes()
    book.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(FormatError, match="cut off or damaged"):
        read_xlsx(book)


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_damaged_workbook_reads_or_gives_our_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.xlsx"
    content = bytearray(write_workbook(path, {"Data": [HEADER, ["q", "a"]]}).read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(FinetuneKitError):
        assert read_xlsx(path).source.rows_in > 0


def test_stray_cell_in_the_last_corner_does_not_take_the_process_down(book: Path) -> None:
    """The parser lays out all 17 thousand million cells between the two, and ends its process."""
    write_raw(
        book, {"Data": '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'}
    )
    with pytest.raises(FormatError, match="a stray cell stands far away"):
        read_xlsx(book)


def test_stray_cell_in_another_sheet_costs_only_its_mention(book: Path) -> None:
    row = '<row r="{0}"><c r="{1}"><v>{2}</v></c><c r="{3}"><v>5</v></c></row>'
    table = row.format(1, "A1", 1, "B1") + row.format(2, "A2", 2, "B2")
    write_raw(
        book, {"Data": table, "Old": row.format(1, "A1", 1, "B1") + row.format(1048576, "A1048576", 2, "XFD1048576")}
    )
    assert list(read_xlsx(book).rows) == [CompletionExample("2", "5")]


def test_bomb_is_refused_by_its_size(book: Path) -> None:
    write_workbook(book, {"Data": [HEADER, ["q", "a"]]})
    with zipfile.ZipFile(book, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/sharedStrings.xml", "w") as part:
        for _ in range(140):
            part.write(bytes(1 << 20))
    with pytest.raises(FormatError, match=r"unpacks to 146,\d+,\d+ bytes"):
        read_xlsx(book)


def test_entities_are_not_multiplied(book: Path) -> None:
    """A "billion laughs": the cell is refused or read as it stands, never blown up."""
    entities = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
        f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
    )
    write_workbook(book, {"Data": [HEADER, ["q", "a"]]})
    content = io.BytesIO()
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(content, "w") as new:
        for member in old.infolist():
            text = old.read(member).decode().replace(">q<", ">&j;<")
            new.writestr(member.filename, f"{entities}]>{text}" if "sheet1" in member.filename else text)
    book.write_bytes(content.getvalue())
    try:
        result = read_xlsx(book)
    except FormatError:
        pass
    else:
        assert all(len(row.prompt) < 100 for row in result.rows if isinstance(row, CompletionExample))


@NEEDS_DATA
def test_encrypted_workbooks_are_called_so() -> None:
    folder = DATA / "05-bad-input/xlsx"
    encrypted = [
        *folder.glob("excelize__encrypt*"),
        *folder.glob("*encrypted*"),
        folder / "calamine__pass_protected.xlsx",
    ]
    assert len(encrypted) == 4
    for path in encrypted:
        with pytest.raises(FormatError, match="encrypted with a password"):
            read_xlsx(path)


@NEEDS_DATA
def test_dates_are_right_in_both_date_systems() -> None:
    folder = DATA / "05-bad-input/xlsx"
    for name in ("calamine__date.xls", "calamine__date_1904.xlsx"):
        result = read_xlsx(folder / name)
        texts = [row.prompt for row in result.rows if isinstance(row, CompletionExample)]
        assert texts == ["2021-01-02", "255:10:10"]
        assert result.source.format == name.rpartition(".")[2]


@NEEDS_DATA
def test_xls_under_the_name_xlsx_is_read() -> None:
    result = read_xlsx(DATA / "02-chinese/airline-faq/FAQ.xlsx")
    assert (len(result.rows), result.source.format) == (114, "xls")
    assert result.source.columns == {"prompt": "QUESTION", "completion": "ANSWER"}


STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt formatCode="0.0%" numFmtId="164"/>'
    '<numFmt numFmtId="165" formatCode="0.0&quot;%&quot;"/></numFmts><cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"><alignment/></xf><xf numFmtId="9"/><xf numFmtId="165"/></cellXfs>'
    "</styleSheet>"
)


def read_cells(path: Path, *rows: str) -> ReadResult:
    """A sheet whose table begins in column C and row 2, under a header of prompt, completion and share."""
    texts = '<c r="{}{}" t="inlineStr"><is><t>{}</t></is></c>'
    header = "".join(texts.format(letter, 2, name) for letter, name in zip("CDE", [*HEADER, "share"], strict=True))
    sheet = f'<row r="2">{header}</row>'
    for number, cells in enumerate(rows, 3):
        sheet += f'<row r="{number}">{texts.format("C", number, "q")}{cells}</row>'
    write_raw(path, {"Notes": "", "Data": sheet}, styles=STYLES)
    return read_xlsx(path)


def test_error_reads_as_it_shows_and_is_told(book: Path) -> None:
    result = read_cells(
        book,
        '<c r="D3" t="e"><f>NA()</f><v>#N/A</v></c>',
        '<c r="D4" t="str"><f>A1&amp;"x"</f><v>a</v></c><c r="E4" t="e"><v>#REF!</v></c>',
    )
    assert list(result.rows) == [
        CompletionExample("q", "#N/A", {"share": ""}),
        CompletionExample("q", "a", {"share": "#REF!"}),
    ]
    assert result.source.notes == (
        "2 cells show errors, read as the text that stands there, first #N/A in D3. Mend it, or drop the row.",
    )


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="E3" s="1"><v>0.125</v></c>', "12.5%"),
        ('<c r="E3" s="2"><f>D4/7</f><v>0.07</v></c>', "7%"),
        ('<c s="2" r="E3" t="n"><v>-1.5</v></c>', "-150%"),
        ('<c r="E3" s="3"><v>12.5</v></c>', "12.5"),
        ('<c r="E3" s="0"><v>0.125</v></c>', "0.125"),
        ('<c r="E3" s="1" t="str"><f>"0.5"</f><v>0.5</v></c>', "0.5"),
    ],
)
def test_percentage_reads_as_it_shows(book: Path, cell: str, text: str) -> None:
    result = read_cells(book, f'<c r="D3" t="str"><v>a</v></c>{cell}')
    assert result.rows[0].metadata == {"share": text}
    assert ("1 cell shows a percentage, read as that: 0.125 is 12.5%." in result.source.notes) == text.endswith("%")


def test_errors_are_found_in_sheets_of_many_pieces(book: Path) -> None:
    long = "x" * 30_000
    rows = [f'<c r="D{number}" t="inlineStr"><is><t>{long}</t></is></c>' for number in range(3, 103)]
    rows[97] = '<c r="D100" t="e"><v>#VALUE!</v></c>'
    result = read_cells(book, *rows)
    assert result.rows[97] == CompletionExample("q", "#VALUE!", {"share": ""})


def test_errors_and_percentages_that_are_not_seen_in_ods_are_told(tmp_path: Path) -> None:
    text = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    error = (
        '<table:table-cell table:formula="of:=NA()" office:value-type="string" office:string-value="" '
        'calcext:value-type="error"><text:p>#N/A</text:p></table:table-cell>'
    )
    share = (
        '<table:table-cell office:value-type="percentage" office:value="0.125" calcext:value-type="percentage">'
        "<text:p>12.5%</text:p></table:table-cell>"
    )
    rows = [[text.format("prompt"), text.format("completion"), text.format("n")], [text.format("q"), error, share]]
    cells = "".join(f"<table:table-row>{''.join(row)}</table:table-row>" for row in rows)
    names = "".join(
        f' xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
    )
    with zipfile.ZipFile(tmp_path / "book.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr(
            "META-INF/manifest.xml",
            '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        archive.writestr(
            "content.xml",
            f'<office:document-content{names} xmlns:calcext="urn:calcext"><office:body><office:spreadsheet>'
            f'<table:table table:name="Data">{cells}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        )
    result = read_xlsx(tmp_path / "book.ods")
    assert list(result.rows) == [CompletionExample("q", "", {"n": "0.125"})]
    [note] = result.source.notes
    assert note.startswith("2 cells of the workbook show an error, read as empty, or a percentage, read as 0.125 for")
