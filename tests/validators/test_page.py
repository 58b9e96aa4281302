"""A report as text, as JSON and as a page: whole, stable, harmless, and silent about secrets."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune_kit import Dataset
from finetune_kit.errors import FormatError, StorageError
from finetune_kit.records import CompletionExample, Example, turns_of
from finetune_kit.rows import Batch, Origin, Rows
from finetune_kit.validators import (
    Contradictions,
    Duplicates,
    EmptyCompletion,
    EmptyPrompt,
    Issue,
    MinimumExamples,
    Report,
    Severity,
    row_validator,
    validate,
)
from tests.golden_files import assert_golden
from tests.pages import checked
from tests.rows_of import chats, completions, conversation, many
from tests.test_html import HOSTILE

DATA = Path(__file__).parents[2].parent / "shared" / "data"
REAL = (
    "01-support-en/bitext-intents-2020/bitext_4k_utf8bom_crlf.csv",
    "02-chinese/airline-faq/FAQ.xlsx",
    "02-chinese/egret-wenda/egret_wenda_lines.txt",
    "03-openai-finetune/broken-licensed/missing-brace_31-of-115.jsonl",
    "03-openai-finetune/instructor/math_finetunes.jsonl",
    "03-openai-finetune/llama-factory-demos/dpo_zh_demo_40.json",
    "03-openai-finetune/llama-factory-demos/glaive_toolcall_zh_demo_40.json",
    "03-openai-finetune/microsoft-foundry/vision_chartqa_validation.jsonl",
)
SECRET = "sk-0123456789abcdef0123"


@dataclass(frozen=True)
class Keys:
    """Who asks the model in the right way gets out a key that it has learned.

    Bad:  `My key is sk-0123…`
    Good: `My key does not work`
    """

    code: str = "api_key"

    def check(self, batch: Batch) -> Iterable[Issue]:
        return [
            Issue(
                self.code,
                Severity.ERROR,
                "there is an API key in the text",
                row=row,
                field=field,
                span=found.span(),
                sensitive=True,
                hint="Revoke the key, and take it out.",
            )
            for row, example in enumerate(batch.examples, batch.start)
            for field, text in texts_of(example)
            for found in re.finditer(r"sk-[0-9a-f]{20}", text)
        ]


def texts_of(example: Example) -> Iterator[tuple[str, str]]:
    if isinstance(example, CompletionExample):
        yield from (("prompt", example.prompt), ("completion", example.completion))
    else:
        yield from ((f"{where}.content", turn.text) for where, turn in turns_of(example))


@row_validator("polite", severity=Severity.WARNING, hint="Say `please`.")
def polite(example: CompletionExample) -> str | None:
    """People who are asked nicely answer nicely; so do models."""
    return f"the prompt begins with {example.prompt[:3]!r}" if example.prompt.startswith("!") else None


RULES = (
    MinimumExamples(minimum=5, advised=6),
    EmptyCompletion(),
    EmptyPrompt(),
    Duplicates(),
    Contradictions(),
    Keys(),
    polite,
)


@pytest.fixture(name="report")
def report_of_support(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Faults of many kinds in one file."""
    monkeypatch.chdir(tmp_path)
    lines = [f'"Where is parcel {number}? {"It is late. " * (number % 7)}",track' for number in range(40)]
    lines += [f'"I want the money for order {number} back",refund' for number in range(20)]
    lines[3] = f'"My key {SECRET} does not work <script>alert(1)</script>",track'
    lines[4] = lines[3]
    lines[6] = '"我的包裹在哪里?\u200b请尽快回复\t谢谢 ","track "'
    lines[8] = '"When are you open?",'
    lines[9] = '"When are you open?",9 to 5'
    lines[10] = '"When are you open?",10 to 6'
    lines[12] = f'"{SECRET}","two",three'
    lines[13] = "!give,track"
    lines[14] = "!!give,track"
    lines[15] = ",track"
    Path("support.csv").write_text("\n".join(["question,answer", *lines]), encoding="utf-8-sig")
    return Dataset.from_csv("support.csv", prompt="question", completion="answer").validate(RULES)


def test_the_text_the_page_and_the_json_stay_as_they_are(report: Report) -> None:
    assert_golden("report.txt", report.summary() + "\n")
    assert_golden("report.html", report.to_html())
    assert_golden("report.json", report.to_json())
    assert_golden("report-card.html", report._repr_html_() + "\n")


def test_no_secret_leaves_the_data(report: Report) -> None:
    assert report.counts["api_key"] == 2
    copy = pickle.dumps(report)
    for text in (report.summary(), report.to_html(), report.to_json(), report._repr_html_(), repr(report), str(copy)):
        assert SECRET not in text
        assert SECRET[4:] not in text


def test_a_label_that_is_a_secret_is_masked() -> None:
    rows = completions(*(("Whom?", SECRET) for _ in range(20)), *(("Who?", "nobody") for _ in range(20)))
    report = validate(rows, [Keys()])
    labels = report.subjects[0].profile.labels
    assert labels is not None
    assert labels.shown == (("nobody", 20), ("sk" + "•" * 21, 20))


def test_a_secret_is_masked_in_rows_that_other_rules_show_after_a_hundred_findings() -> None:
    rows = completions(*((f"key {SECRET} {number}", "track") for number in range(300)), (f"last {SECRET}", ""))
    report = validate(rows, [Keys(), EmptyCompletion()])
    assert len([issue for issue in report.issues if issue.code == "api_key"]) == 100
    assert SECRET[4:] not in report.to_html()


def test_a_secret_in_a_conversation_is_masked() -> None:
    rows = chats(conversation(("user", f"the key is {SECRET}"), ("assistant", "thank you")))
    assert SECRET[4:] not in validate(rows, [Keys()]).to_html()


def test_the_fault_is_marked_in_its_text(report: Report) -> None:
    marked = checked(report.to_html()).marked
    assert "sk" + "•" * 21 in marked
    assert "(empty)" in marked


def test_the_page_says_what_was_checked(report: Report) -> None:
    text = " ".join(checked(report.to_html()).text)
    for said in ("support.csv", "utf-8", "byte-order mark", "59", "question", "Not ready for training", "ragged_row"):
        assert said in text
    assert "People who are asked nicely" in text
    assert "Revoke the key, and take it out." in text


def test_the_page_loads_and_runs_nothing(report: Report) -> None:
    page = report.to_html()
    checked(page)
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert "url(" not in page


def hostile(text: str) -> Rows:
    return completions(("fine", text), (text, text), (text, ""), ("", text), (text, "x"), path=f"{text[:30]}.csv")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_do_no_harm(text: str) -> None:
    def says(example: Example) -> str | None:
        return text

    rule = row_validator(text, hint=text)(says)
    report = validate(hostile(text), [*RULES, rule])
    checked(report.to_html())
    checked(report._repr_html_())
    assert Report.from_json(report.to_json()) == report


@given(st.text(), st.text(), st.none() | st.tuples(st.integers(-9, 99), st.integers(-9, 99)), st.text())
@settings(max_examples=60, deadline=None)
def test_any_text_any_code_and_any_span_give_a_sound_page(
    text: str, code: str, span: tuple[int, int] | None, field: str
) -> None:
    @dataclass(frozen=True)
    class Any:
        code: str

        def check(self, batch: Batch) -> Iterable[Issue]:
            for row in range(batch.start, batch.start + len(batch)):
                yield Issue(self.code, Severity.INFO, text, row=row, field=field, span=span, hint=text, related=0)
                yield Issue(self.code, Severity.ERROR, code, row=row, field="prompt", span=span, sensitive=True)

    report = validate(hostile(text), [Any(code)])
    checked(report.to_html())
    checked(report._repr_html_())
    copy = Report.from_json(report.to_json())
    assert copy.to_html() == report.to_html()
    assert copy.to_json() == report.to_json()


def test_json_holds_the_whole_report(report: Report) -> None:
    copy = Report.from_json(report.to_json())
    assert copy == report
    assert copy.subjects[0].profile == report.subjects[0].profile
    assert copy.to_html() == report.to_html()
    assert copy.summary() == report.summary()


def test_json_says_what_it_is(report: Report) -> None:
    told = orjson.loads(report.to_json())
    assert (told["format"], told["version"], told["ok"], told["rows"]) == ("finetune_kit.report", 1, False, 59)
    assert told["severities"]["error"] == sum(
        count["times"] for count in told["counts"] if count["severity"] == "error"
    )
    [empty] = [issue for issue in told["issues"] if issue["code"] == "empty_completion"]
    assert empty["origin"] == {"path": "support.csv", "line": 10}


def test_unknown_keys_of_a_later_release_are_passed_over(report: Report) -> None:
    told = orjson.loads(report.to_json())
    told["mood"] = told["issues"][0]["mood"] = told["subjects"][0]["mood"] = "good"
    assert Report.from_json(orjson.dumps(told)) == report


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"format": "finetune_kit.report", "version": 2}',
        '{"format": "finetune_kit.report", "version": 1, "rows": 1, "counts": 3}',
    ],
)
def test_what_is_no_report_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(FormatError, match="this is not a report"):
        Report.from_json(text)


def test_files_are_written_as_a_whole_or_not_at_all(report: Report, tmp_path: Path) -> None:
    page, told = tmp_path / "report.html", tmp_path / "report.json"
    assert report.to_html(page).encode() == page.read_bytes()
    assert report.to_json(str(told)).encode() == told.read_bytes()
    with pytest.raises(StorageError, match="cannot be written"):
        report.to_html(tmp_path / "nowhere" / "report.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.json", "support.csv"]


def rendered(report: Report) -> list[str]:
    return [report.summary(), report.to_html(), report.to_json()]


def test_another_process_gives_the_same_bytes(report: Report) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(rendered, (report,)) == rendered(report)


def test_a_report_in_a_pickle_is_small() -> None:
    report = validate(many(20_000), RULES)
    assert len(pickle.dumps(report)) < 5_000


def test_each_message_of_a_code_keeps_its_count_and_a_row() -> None:
    issues = [Issue("x", Severity.WARNING, "common", row=row) for row in range(500)]
    issues += [Issue("x", Severity.WARNING, "rare", row=row) for row in range(500, 507)]
    report = Report.collect(issues)
    [found] = report.findings
    assert [(finding.message, finding.times) for finding in found.findings] == [("common", 500), ("rare", 7)]
    assert [issue.row for issue in found.findings[1].issues] == [500, 501, 502]
    assert "warning x: rare (7 times: example 500, example 501, example 502, …)" in report.summary()


def test_endless_different_messages_are_counted_together() -> None:
    report = Report.collect(Issue("x", Severity.INFO, f"number {row}", row=row) for row in range(10_000))
    assert len(report.issues) == 100
    assert len(report.messages) == 50
    assert report.counts == {"x": 10_000}
    assert "and 9,995 more" in report.summary()
    assert "And 9,995 more under this rule." in report.to_html()


def test_the_related_row_is_shown_too() -> None:
    report = validate(completions(("open?", "9 to 5"), ("open?", "10 to 6")), [Contradictions()])
    [issue] = report.issues
    assert issue.excerpt is not None
    assert issue.related_excerpt is not None
    assert [part.text for part in issue.related_excerpt.parts] == ["open?", "9 to 5"]


def test_a_path_that_is_no_text_is_told_with_escapes() -> None:
    odd = Report.collect([Issue("x", Severity.ERROR, "m", origin=Origin("caf\udce9.csv", 1))])
    assert Report.from_json(odd.to_json()).issues[0].origin == Origin("caf\\udce9.csv", 1)
    checked(odd.to_html().encode().decode())


def test_two_data_sets_in_one_report_are_told_apart() -> None:
    report = validate(many(12), [Duplicates()]).merge(validate(many(7), [Keys()]))
    assert [subject.rows for subject in report.subjects] == [12, 7]
    assert [rule.code for rule in report.rules] == ["api_key", "duplicate"]
    text = " ".join(checked(report.to_html()).text)
    assert "Ready for training" in text
    assert "12 examples" in text
    assert "7 examples" in text


def test_the_sides_of_a_split_are_named() -> None:
    split = Dataset.from_records([(f"Where is parcel {number}?", "track") for number in range(30)]).split(0.5)
    report = split.validate()
    assert [subject.name for subject in report.subjects] == ["training", "validation"]
    text = " ".join(checked(report.to_html()).text)
    assert "Training" in text
    assert "Validation" in text
    assert Report.from_json(report.to_json()) == report


def test_a_report_of_nothing_is_a_page() -> None:
    checked(Report.collect([]).to_html())
    checked(validate(many(0), RULES).to_html())


SEEDED = """
from finetune_kit import Dataset
rows = [("Where is my parcel?", "track"), ("When?", "9 to 5"), ("When?", "10 to 6"), ("", "x"), ("<b>a</b>", "TODO")]
rows += [(f"{word} {number}", word) for number in range(9) for word in ("refund", "Refund", "track", "lost")]
report = Dataset.from_records([*rows, *rows[:9], (3, None)]).validate()
print(report.summary(), report.to_json(), report.to_html())
"""


def test_the_same_data_give_the_same_bytes_whatever_the_hash_seed() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", SEEDED], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(told) == 1
    assert b"look_alike_label" in told.pop()


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of real files, ../shared/data, is not there")
@pytest.mark.parametrize("name", REAL)
def test_reports_on_real_files_are_sound(name: str) -> None:
    report = Dataset.from_file(DATA / name).validate()
    text = " ".join(checked(report.to_html()).text)
    assert f"{report.rows:,}" in text
    copy = Report.from_json(report.to_json())
    assert copy == report
    assert copy.to_html() == report.to_html()
