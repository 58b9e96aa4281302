"""What OpenAI's old `prepare_data` got wrong is right here: its measured mistakes, each with the file that shows it.

Where FINETUNE_KIT_TEST_PEER names the `openai` program of `pip install 'openai[datalib]==0.28.1'`, the old tool is run
on the same files, so that each mistake is known to be one; on files without a trap both must judge alike.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from finetune_kit.dataset import Dataset
from finetune_kit.records import CompletionExample
from finetune_kit.validators import Issue, Report
from tests.readers.workbooks import write_workbook

PEER = os.environ.get("FINETUNE_KIT_TEST_PEER", "")
NEEDS_PEER = pytest.mark.skipif(
    not Path(PEER).is_file(), reason="FINETUNE_KIT_TEST_PEER does not name the program of openai[datalib]==0.28.1"
)

Pairs = list[tuple[str, str]]

TOWNS = ("Oslo", "Rome", "Lima", "Cairo", "Delhi", "Tokyo", "Quito", "Paris", "Accra", "Minsk", "Porto", "Turin")
ANSWERED: Pairs = [
    (f"When does the shop in {town} open?", f"At {9 + place} in {town}") for place, town in enumerate(TOWNS)
]
CHINESE: Pairs = [
    ("今天晚上吃什么好呢?", "吃火锅吧,天气很冷"),
    ("我的包裹在哪里?", "在邻居家"),
    ("怎么退款?", "请联系客服"),
] * 5
GERMAN: Pairs = [("Wo ist mein Päckchen?", "Beim Nachbarn über Ihnen"), ("Wie groß?", "Größe 40 – für 5 €")] * 5


@dataclass(frozen=True)
class Peer:
    """What the old tool said of a file, and what it wrote."""

    said: str
    rows: Pairs | None


def ask_peer(path: Path) -> Peer:
    """Run the old tool with every recommendation accepted."""
    command = [PEER, "tools", "fine_tunes.prepare_data", "-f", str(path), "-q"]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=path.parent, check=False)
    written = sorted(path.parent.glob(f"{path.stem}_prepared*.jsonl"))
    lines = [json.loads(line) for file in written for line in file.read_text(encoding="utf-8").splitlines()]
    rows = [(line["prompt"], line["completion"]) for line in lines]
    return Peer(run.stdout + run.stderr, rows if written else None)


def write_jsonl(path: Path, pairs: Sequence[tuple[str, str]], *, encoding: str = "utf-8") -> Path:
    lines = (json.dumps({"prompt": asked, "completion": said}, ensure_ascii=False) for asked, said in pairs)
    path.write_text("".join(f"{line}\n" for line in lines), encoding=encoding)
    return path


def write_csv(path: Path, pairs: Pairs, *, encoding: str = "utf-8", delimiter: str = ",") -> Path:
    rows = [("prompt", "completion"), *pairs]
    text = "".join(f'"{asked}"{delimiter}"{said}"\n' for asked, said in rows)
    path.write_text(text, encoding=encoding)
    return path


def read(path: Path) -> tuple[Pairs, Report]:
    data = Dataset.from_file(path)
    return pairs_of(data), data.validate(model="davinci")


def pairs_of(data: Dataset) -> Pairs:
    return [(example.prompt, example.completion) for example in data if isinstance(example, CompletionExample)]


def of_code(report: Report, code: str) -> list[Issue]:
    return [issue for issue in report.issues if issue.code == code]


# reading

ENCODED = [("gb18030", CHINESE), ("utf-16", CHINESE), ("cp1252", GERMAN)]


@pytest.mark.parametrize(("encoding", "pairs"), ENCODED)
def test_a_table_in_another_encoding_is_read_and_the_encoding_told(encoding: str, pairs: Pairs, tmp_path: Path) -> None:
    rows, report = read(write_csv(tmp_path / "a.csv", pairs, encoding=encoding))
    assert rows == pairs
    assert any(encoding in issue.message for issue in of_code(report, "file_source"))


@NEEDS_PEER
@pytest.mark.parametrize(("encoding", "pairs"), ENCODED)
def test_peer_refuses_a_table_in_another_encoding(encoding: str, pairs: Pairs, tmp_path: Path) -> None:
    peer = ask_peer(write_csv(tmp_path / "a.csv", pairs, encoding=encoding))
    assert "does not appear to be in valid CSV format" in peer.said
    assert peer.rows is None


def test_json_lines_with_a_byte_order_mark_are_read_and_the_mark_told(tmp_path: Path) -> None:
    rows, report = read(write_jsonl(tmp_path / "a.jsonl", ANSWERED, encoding="utf-8-sig"))
    assert rows == ANSWERED
    assert ["byte-order mark" in issue.message for issue in of_code(report, "file_source")] == [True]


@NEEDS_PEER
def test_peer_refuses_json_lines_with_a_byte_order_mark(tmp_path: Path) -> None:
    peer = ask_peer(write_jsonl(tmp_path / "a.jsonl", ANSWERED, encoding="utf-8-sig"))
    assert "does not appear to be in valid JSONL format" in peer.said


def test_a_single_row_is_read_and_is_only_too_few(tmp_path: Path) -> None:
    rows, report = read(write_jsonl(tmp_path / "a.jsonl", ANSWERED[:1]))
    assert rows == ANSWERED[:1]
    assert [issue.code for issue in report.errors] == ["minimum_examples"]


@NEEDS_PEER
def test_peer_fails_on_a_single_row(tmp_path: Path) -> None:
    assert ask_peer(write_jsonl(tmp_path / "a.jsonl", ANSWERED[:1])).rows is None


def with_a_bad_line(path: Path) -> Path:
    lines = write_jsonl(path, ANSWERED * 5).read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*lines[:40], '{"prompt": "Lost?", "completion": "Found', *lines[40:], ""]))
    return path


def test_one_bad_line_of_sixty_one_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    rows, report = read(with_a_bad_line(tmp_path / "a.jsonl"))
    assert rows == ANSWERED * 5
    [error] = report.errors
    assert error.origin is not None
    assert error.origin.line == 41


@NEEDS_PEER
def test_peer_gives_up_the_file_for_one_bad_line_and_does_not_say_which(tmp_path: Path) -> None:
    peer = ask_peer(with_a_bad_line(tmp_path / "a.jsonl"))
    assert "does not appear to be in valid JSONL format" in peer.said
    assert "41" not in peer.said
    assert peer.rows is None


def test_cells_between_semicolons_are_read(tmp_path: Path) -> None:
    assert read(write_csv(tmp_path / "a.csv", ANSWERED, delimiter=";"))[0] == ANSWERED


@NEEDS_PEER
def test_peer_misses_the_columns_between_semicolons(tmp_path: Path) -> None:
    peer = ask_peer(write_csv(tmp_path / "a.csv", ANSWERED, delimiter=";"))
    assert "`prompt` column/key is missing" in peer.said


def test_the_sheet_that_was_not_read_is_told(tmp_path: Path) -> None:
    header = ("prompt", "completion")
    sheets = {"first": [header, *ANSWERED], "second": [header, *CHINESE]}
    rows, report = read(write_workbook(tmp_path / "a.xlsx", sheets))
    assert rows == ANSWERED
    assert any("second" in issue.message for issue in of_code(report, "file_source"))


def write_chats(path: Path) -> Path:
    turns = ([{"role": "user", "content": asked}, {"role": "assistant", "content": said}] for asked, said in ANSWERED)
    path.write_text("".join(json.dumps({"messages": messages}) + "\n" for messages in turns))
    return path


def test_conversations_are_read_and_checked(tmp_path: Path) -> None:
    data = Dataset.from_file(write_chats(tmp_path / "a.jsonl"))
    assert (data.kind, len(data)) == ("chat", 12)
    assert data.validate().ok


@NEEDS_PEER
def test_peer_refuses_conversations(tmp_path: Path) -> None:
    assert "`prompt` column/key is missing" in ask_peer(write_chats(tmp_path / "a.jsonl")).said


# rows that were lost or changed


def with_repeats_and_a_long_row() -> Pairs:
    long = ("Summarize: " + "word " * 2_400, "Many words.")
    answers = [(f"Where is order {number}?", "Yes." if number % 2 else "Not yet.") for number in range(20)]
    return [*answers[:3], answers[0], *answers[3:12], long, *answers[12:]]


def test_a_repeated_row_is_left_out_and_no_other(tmp_path: Path) -> None:
    pairs = with_repeats_and_a_long_row()
    data = Dataset.from_file(write_jsonl(tmp_path / "a.jsonl", pairs))
    assert [(issue.row, issue.related) for issue in of_code(data.validate(), "duplicate")] == [(3, 0)]
    assert pairs_of(data.without_duplicates()) == pairs[:3] + pairs[4:]


@NEEDS_PEER
def test_peer_deletes_an_innocent_row_and_keeps_the_long_one(tmp_path: Path) -> None:
    peer = ask_peer(write_jsonl(tmp_path / "a.jsonl", with_repeats_and_a_long_row()))
    assert peer.rows is not None
    kept = [prompt for prompt, _ in peer.rows]
    assert any(prompt.startswith("Summarize: ") for prompt in kept)
    assert len(kept) == 20, "of 20 short rows and the long one"


DATES: Pairs = [(f"When does the {town} order arrive?", f"2024-01-{day:02}") for day, town in enumerate(TOWNS, 1)]


def test_dates_begin_alike_and_have_no_beginning_to_be_taken_off(tmp_path: Path) -> None:
    rows, report = read(write_jsonl(tmp_path / "a.jsonl", DATES))
    assert rows == DATES
    assert not of_code(report, "completion_prefix")


@NEEDS_PEER
def test_peer_takes_the_year_and_the_month_off(tmp_path: Path) -> None:
    peer = ask_peer(write_jsonl(tmp_path / "a.jsonl", DATES))
    assert peer.rows is not None
    assert peer.rows[0][1].strip() == "01"


COUNTRIES: Pairs = [
    (f"Which country is {town} in? ({number})", ("NA", "NO", "IT")[number % 3]) for number, town in enumerate(TOWNS * 3)
]


def test_the_label_na_is_a_label(tmp_path: Path) -> None:
    rows, report = read(write_csv(tmp_path / "a.csv", COUNTRIES))
    assert rows == COUNTRIES
    assert not of_code(report, "empty_completion")
    assert of_code(report, "task_type")[0].message == (
        "this looks like classification: 36 rows have 3 completions between them"
    )


@NEEDS_PEER
def test_peer_drops_the_label_na_as_empty(tmp_path: Path) -> None:
    peer = ask_peer(write_csv(tmp_path / "a.csv", COUNTRIES))
    assert peer.rows is not None
    assert len(peer.rows) == 24


CODES: Pairs = [(f"Which part replaces {number}Q{number * 7}ab", f"ZX-{number}Y{number % 3}") for number in range(30)]


def test_codes_keep_their_capitals_and_end_alike_by_chance(tmp_path: Path) -> None:
    rows, report = read(write_jsonl(tmp_path / "a.jsonl", CODES))
    assert rows == CODES
    assert not [issue for issue in report.issues if issue.code in {"letter_case", "prompt_suffix", "prepared"}]
    assert of_code(report, "separator"), "there is none, whatever the codes end with"


@NEEDS_PEER
def test_peer_lowers_codes_and_takes_their_ending_for_a_separator(tmp_path: Path) -> None:
    peer = ask_peer(write_jsonl(tmp_path / "a.jsonl", CODES))
    assert "All prompts end with suffix `ab`" in peer.said
    assert peer.rows is not None
    asked, answered = peer.rows[4]
    assert asked.endswith("4Q28ab"), "no separator was added"
    assert answered == " zx-4y1\n"


PREFIXED: Pairs = [*((asked, f"Answer: {said}") for asked, said in ANSWERED), ("And in Bonn?", "Answer: ")]


def test_an_answer_that_is_all_beginning_is_named(tmp_path: Path) -> None:
    rows, report = read(write_jsonl(tmp_path / "a.jsonl", PREFIXED))
    assert rows == PREFIXED
    warning, note = of_code(report, "completion_prefix")
    assert (warning.row, note.row) == (12, None)
    assert note.message.startswith("every completion begins with 'Answer:")


@NEEDS_PEER
def test_peer_makes_an_empty_completion_of_it(tmp_path: Path) -> None:
    peer = ask_peer(write_jsonl(tmp_path / "a.jsonl", PREFIXED))
    assert peer.rows is not None
    assert peer.rows[-1][1].strip() == ""


INSIDE: Pairs = [*((f"{asked}? ->", f" {said}\n") for asked, said in ANSWERED), ("Oslo -> Rome? ->", " By train\n")]


def test_a_separator_inside_a_prompt_is_found_where_all_prompts_end_in_a_question_mark_too(tmp_path: Path) -> None:
    _, report = read(write_jsonl(tmp_path / "a.jsonl", INSIDE))
    assert [(issue.row, issue.message) for issue in of_code(report, "prompt_suffix")] == [
        (12, "' ->' ends the prompts and stands inside this one too")
    ]


@NEEDS_PEER
def test_peer_takes_the_question_mark_for_a_part_of_it_and_overlooks_it(tmp_path: Path) -> None:
    said = ask_peer(write_jsonl(tmp_path / "a.jsonl", INSIDE)).said
    assert "All prompts end with suffix `? ->`" in said
    assert "more than once" not in said


def test_the_last_word_of_every_question_is_no_separator(tmp_path: Path) -> None:
    _, report = read(write_jsonl(tmp_path / "a.jsonl", ANSWERED))
    assert of_code(report, "separator")
    assert not of_code(report, "prepared")


@NEEDS_PEER
def test_peer_takes_the_last_word_of_every_question_for_a_separator(tmp_path: Path) -> None:
    assert "All prompts end with suffix ` open?`" in ask_peer(write_jsonl(tmp_path / "a.jsonl", ANSWERED)).said


def with_a_truth_value(path: Path) -> Path:
    lines = write_jsonl(path, ANSWERED).read_text(encoding="utf-8")
    path.write_text(f'{lines}{{"prompt": "Is it open today?", "completion": true}}\n', encoding="utf-8")
    return path


def test_a_truth_value_is_no_text_and_is_named(tmp_path: Path) -> None:
    rows, report = read(with_a_truth_value(tmp_path / "a.jsonl"))
    assert rows == ANSWERED
    [error] = report.errors
    assert (error.code, error.origin and error.origin.line) == ("wrong_type", 13)


@NEEDS_PEER
def test_peer_makes_a_python_word_of_it(tmp_path: Path) -> None:
    peer = ask_peer(with_a_truth_value(tmp_path / "a.jsonl"))
    assert peer.rows is not None
    assert peer.rows[-1][1].strip() == "True"


def with_another_column(path: Path) -> Path:
    path.write_text("".join(["prompt,completion,shop\n", *(f"{a},{b},main\n" for a, b in ANSWERED)]), encoding="utf-8")
    return path


def test_another_column_is_told_and_kept(tmp_path: Path) -> None:
    data = Dataset.from_file(with_another_column(tmp_path / "a.csv"))
    assert [issue.message for issue in of_code(data.validate(), "extra_columns")] == [
        "1 column is not trained on: 'shop'"
    ]
    assert {str(example.metadata["shop"]) for example in data} == {"main"}


@NEEDS_PEER
def test_peer_drops_it_and_warns_that_its_name_is_in_its_name(tmp_path: Path) -> None:
    peer = ask_peer(with_another_column(tmp_path / "a.csv"))
    assert "WARNING: Some of the additional columns/keys contain `shop` in their name" in peer.said


# where there is no trap, both judge alike

LABELLED: Pairs = [
    (f"Message {number} from {town}", ("spam", "ham")[number % 2]) for number, town in enumerate(TOWNS * 2)
]
ALIKE: dict[str, tuple[Pairs, dict[str, str]]] = {
    "labels": (LABELLED, {"task_type": "for classification", "separator": "does not contain a common separator"}),
    "labels, prepared": (
        [(f"{asked} ->", f" {label}") for asked, label in LABELLED],
        {"prepared": "All prompts end with suffix ` ->`"},
    ),
    "answers": (
        [
            (f"Please tell me about {town}{'?!'[place % 2]}", said)
            for place, (town, (_, said)) in enumerate(zip(TOWNS, ANSWERED, strict=True))
        ],
        {
            "separator": "does not contain a common separator",
            "stop_sequence": "does not contain a common ending",
            "prompt_prefix": "All prompts start with prefix",
        },
    ),
    "answers, prepared": (
        [(f"{asked}\n\n###\n\n", f" {said} END") for asked, said in ANSWERED],
        {"prepared": "All completions end with suffix ` END`"},
    ),
    "a long separator": (
        [(f"{asked}\n\nAnswer in one sentence:\n", f" {said}\n") for asked, said in ANSWERED],
        {"prompt_suffix": "This suffix seems very long"},
    ),
    "a separator inside": (
        [*((f"{asked} ->", f" {said}\n") for asked, said in ANSWERED), ("Oslo -> Rome ->", " By train\n")],
        {"prompt_suffix": "Some of your prompts contain the suffix ` ->` more than once"},
    ),
    "a repeated row": ([*ANSWERED, ANSWERED[3]], {"duplicate": "These are rows: [12]"}),
    "an empty answer": ([*ANSWERED, ("And in Bonn?", "")], {"empty_completion": "These are rows: [12]"}),
    "capitals": (
        [(asked.upper(), said) for asked, said in ANSWERED],
        {"letter_case": "of your `prompt` column/key is uppercase"},
    ),
    "a mixture of spaces": (
        [(asked, f" {said}" if place % 3 else said) for place, (asked, said) in enumerate(ANSWERED)],
        {"leading_space": "completion should start with a whitespace"},
    ),
    "no prompts": ([("", said) for _, said in ANSWERED], {"task_type": ""}),
}


@NEEDS_PEER
@pytest.mark.parametrize("name", ALIKE)
def test_without_a_trap_both_say_the_same(name: str, tmp_path: Path) -> None:
    pairs, expected = ALIKE[name]
    path = write_jsonl(tmp_path / "a.jsonl", pairs)
    said, counts = ask_peer(path).said, read(path)[1].counts
    for code, words in expected.items():
        assert counts.get(code, 0) >= 1, code
        assert words in said, code


@pytest.mark.parametrize("name", ALIKE)
def test_what_the_old_tool_told_is_told(name: str, tmp_path: Path) -> None:
    pairs, expected = ALIKE[name]
    rows, report = read(write_jsonl(tmp_path / "a.jsonl", pairs))
    assert rows == pairs
    assert set(expected) <= set(report.counts)
