"""Cleaning: only what is safe, all of it told, nothing lost from the account, and every bit of it reversible."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_kit.changes import ChangeLog
from finetune_kit.dataset import Dataset
from finetune_kit.errors import ParameterError
from finetune_kit.fixes import NAMED, SAFE, AnyFix, LongExamples, StripPrefix, row_fix
from finetune_kit.records import ChatExample, CompletionExample, Example, Message
from finetune_kit.rows import Rows
from finetune_kit.validators import Report
from tests.rows_of import PAIRS

TEXT = st.text(st.sampled_from("aB \n\x00\ufeff\u200bÃ©&amp;"), max_size=4)
METADATA = st.dictionaries(st.sampled_from(["n", "m"]), st.integers(0, 1) | st.just("\x00 "), max_size=1)
COMPLETIONS = st.lists(st.builds(CompletionExample, TEXT, TEXT, METADATA), min_size=1, max_size=12)
TURNS = st.lists(st.builds(Message, st.sampled_from(["user", "assistant"]), st.none() | TEXT), max_size=3).map(tuple)
CHATS = st.lists(st.builds(ChatExample, TURNS), min_size=1, max_size=8)
EXAMPLES: st.SearchStrategy[list[Any]] = COMPLETIONS | CHATS
FIXES = st.lists(
    st.sampled_from(["safe", *NAMED, StripPrefix("a"), StripPrefix("B", "all"), LongExamples(5)]), max_size=5
)


@row_fix("shout")
def shout(example: CompletionExample) -> CompletionExample | None:
    """A fix of a user's own."""
    return None if example.completion == "a" else replace(example, completion=example.completion + "!")


def facts(data: Dataset) -> list[tuple[bytes, str]]:
    """Each row as it is stored, and where it came from."""
    rows = data.rows
    return [(rows.records(range(row, row + 1))[0], str(rows.origin(row))) for row in range(len(rows))]


def identity_holds(log: ChangeLog[Dataset], rows_in: int) -> bool:
    each = all(rule.rows_in == rule.kept + rule.changed + rule.dropped and rule.kept >= 0 for rule in log.by_rule)
    seen = [rows_in, *(rule.rows_in - rule.dropped for rule in log.by_rule)]
    each = each and [rule.rows_in for rule in log.by_rule] == seen[:-1] and seen[-1] == rows_in - log.dropped
    return each and log.rows_in == rows_in == log.kept + log.changed + log.dropped


# the account


@given(EXAMPLES, st.lists(FIXES, max_size=3))
def test_every_row_is_kept_changed_or_dropped_and_undoing_gives_it_back(
    examples: list[Example], cleanings: list[list[Any]]
) -> None:
    data = before = Dataset.from_records(examples)
    for fixes in cleanings:
        data = data.clean(fixes=fixes)
    log = data.changes
    assert identity_holds(log, len(examples))
    assert len(log) == sum(rule.changed + rule.dropped for rule in log.by_rule)
    assert len(data) == log.kept + log.changed
    was, now = dict(zip((where for _, where in facts(before)), facts(before), strict=True)), facts(data)
    changed = [where for record, where in now if (record, where) != was[where]]
    touched = {str(change.origin) for change in log if change.after is not None}
    gone = {str(change.origin) for change in log if change.after is None}
    assert set(changed) <= touched
    assert gone == set(was) - {where for _, where in now}
    assert log.changed == len(touched - gone)
    assert [where for _, where in now] == [where for where in was if where not in gone], "in the same order"
    undone = data.undo()
    assert facts(undone) == facts(before)
    assert undone.source == before.source


@given(EXAMPLES, st.lists(FIXES, max_size=2))
def test_changes_applied_one_by_one_lead_from_the_old_rows_to_the_new(
    examples: list[Example], cleanings: list[list[Any]]
) -> None:
    data = Dataset.from_records(examples)
    state: dict[str, Example | None] = {str(data.rows.origin(row)): data.rows[row] for row in range(len(data))}
    for fixes in cleanings:
        data = data.clean(fixes=fixes)
    for change in data.changes:
        assert state[str(change.origin)] == change.before
        state[str(change.origin)] = change.after
    assert [example for example in state.values() if example is not None] == list(data)


@given(EXAMPLES, st.lists(FIXES, max_size=3))
def test_undoing_a_rule_is_not_having_asked_for_it(examples: list[Example], cleanings: list[list[Any]]) -> None:
    data = Dataset.from_records(examples)
    for fixes in cleanings:
        data = data.clean(fixes=fixes)
    for code in {rule.code for rule in data.changes.by_rule}:
        other = Dataset.from_records(examples)
        for fixes in cleanings:
            other = other.clean(fixes=[fix for fix in resolved(fixes) if fix.code != code])
        assert facts(data.undo(code)) == facts(other)


def resolved(fixes: Iterable[Any]) -> list[AnyFix]:
    return [one for fix in fixes for one in (SAFE if fix == "safe" else [NAMED[fix] if isinstance(fix, str) else fix])]


@given(EXAMPLES)
def test_cleaning_twice_changes_nothing_the_second_time(examples: list[Example]) -> None:
    once = Dataset.from_records(examples).clean()
    twice = once.clean()
    assert facts(twice) == facts(once)
    assert len(twice.changes) == len(once.changes)
    assert twice.source.notes[-1] == "Cleaning found nothing to do."


@given(EXAMPLES, FIXES)
def test_a_pickled_data_set_still_knows_its_changes(examples: list[Example], fixes: list[Any]) -> None:
    data = Dataset.from_records(examples).clean(fixes=[*fixes, shout])
    again: Dataset = pickle.loads(pickle.dumps(data))
    assert facts(again) == facts(data)
    assert list(again.changes) == list(data.changes)
    assert facts(again.undo()) == facts(data.undo())


def test_a_row_that_is_changed_and_then_dropped_counts_once() -> None:
    data = Dataset.from_records([("q", "a"), ("q", "a\ufeff"), ("q", "\ufeff")]).clean()
    log = data.changes
    assert (log.rows_in, log.kept, log.changed, log.dropped) == (3, 1, 0, 2)
    assert log.counts == {"invisible_characters": 2, "empty_completion": 1, "duplicate": 1}
    assert len(data) == 1


# what is done unasked


def test_nothing_that_somebody_may_have_meant_is_touched_unasked() -> None:
    """Each of these the founding tool, or a peer, changed on its own."""
    pairs = [
        ("SKU", "AB-9Cab"),
        ("when?", "2024-01-05"),
        ("when else?", "2024-01-06"),
        ("who?", "Answer: we"),
        ("  indented?\n\n###\n\n", " label\n"),
        ("Q&amp;A <b>", "CafÃ©"),
        ("ﬁ１", "NA"),
        ("", "Refund"),
        ("my mail is a@b.org", "refund"),
        ("long", "x" * 11_000),
    ]
    data = Dataset.from_records(pairs)
    assert facts(data.clean()) == facts(data)
    assert len(data.clean().changes) == 0
    turns = [Message("user", "a"), Message("user", "b"), Message("assistant", "c")]
    chats: list[Example] = [ChatExample(tuple(turns))]
    assert list(Dataset.from_records(chats).clean()) == chats


def test_what_is_safe_is_safe_by_its_own_word_and_nothing_else_is() -> None:
    assert all(fix.safe for fix in SAFE)
    assert [fix for fix in NAMED.values() if fix.safe] == list(SAFE)


# with a report


def test_only_what_the_report_found_is_mended_all_of_it() -> None:
    """A report keeps a hundred findings of each code in full; the fix goes by the code."""
    pairs = [*((f"q{n}", " ") for n in range(150)), ("same", "x "), ("same", "x ")]
    data = Dataset.from_records(pairs)
    report = data.validate()
    assert report.counts["empty_completion"] == 150
    assert data.clean(report).changes.counts == {"empty_completion": 150, "duplicate": 1}
    only_empty = Report.collect([issue for issue in report.issues if issue.code == "empty_completion"])
    assert data.clean(only_empty).changes.counts == {"empty_completion": 150}
    assert data.clean(only_empty, fixes=["duplicate", "lower_case"]) is data


def test_what_is_no_report_is_refused_with_a_hint() -> None:
    wrong: Any = ["lower_case"]
    with pytest.raises(ParameterError, match=r"list is not a report.*fixes=\[\.\.\.\]"):
        Dataset.from_records(PAIRS).clean(wrong)


# asking


def test_fixes_run_in_an_order_that_leaves_nothing_behind() -> None:
    data = Dataset.from_records([("q", "A"), ("q", "a"), ("x", "&nbsp;")])
    assert list(data.clean(fixes=["duplicate", "empty_completion", "lower_case", "html_entities"])) == [
        CompletionExample("q", "a")
    ]


@pytest.mark.parametrize(
    ("fixes", "told"),
    [
        ("lower_case", "'lower_case' is not a list of fixes"),
        (["lowercase"], "'lowercase' is no fix. There are 'safe'"),
        (["strip_prefix"], r"needs to know more: pass finetune_kit.fixes.StripPrefix\("),
        ([7], "7 is not a fix"),
        ([StripPrefix], "is not a fix"),
        (7, "7 is not a list of fixes"),
    ],
)
def test_what_is_no_fix_is_refused(fixes: Any, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        Dataset.from_records(PAIRS).clean(fixes=fixes)


def test_a_function_of_your_own_is_a_fix() -> None:
    data = Dataset.from_records([("q", "a"), ("p", "b")]).clean(fixes=[shout])
    assert list(data) == [CompletionExample("p", "b!")]
    assert data.changes.counts == {"shout": 2}
    assert str(data.changes.by_rule[0]) == "shout: 1 changed, 1 dropped (apply shout())"
    assert shout(CompletionExample("q", "b")) == CompletionExample("q", "b!")
    chats: list[Example] = [ChatExample((Message("assistant", "a"),))]
    assert list(Dataset.from_records(chats).clean(fixes=[shout])) == chats, "its annotation says what it is for"


@dataclass(frozen=True)
class Plan:
    """A whole-set fix that does as it is told."""

    steps: list[tuple[int, None]]
    code = "plan"
    safe = False
    description = "as told"

    def plan(self, rows: Rows) -> Iterable[tuple[int, Example | None]]:
        return self.steps


def raising(example: Example) -> Any:
    raise KeyError("no such thing")


def returning(example: Example) -> Any:
    return 7


@pytest.mark.parametrize(
    ("fix", "told"),
    [
        (row_fix("own")(raising), "record 1: the fix 'own' raised KeyError: 'no such thing'"),
        (row_fix("own")(returning), "record 1: the fix 'own' returned int"),
        (
            row_fix("own")(lambda example: ChatExample(())),
            "record 1: the fix 'own' made a chat example of a completion",
        ),
        (
            row_fix("own")(lambda example: CompletionExample("\ud800", "")),
            "record 1: the fix 'own' made an example that cannot be kept: .*surrogate",
        ),
        (Plan([(3, None), (3, None)]), "the fix 'plan' planned row 3 after row 3 of 20"),
        (Plan([(20, None)]), "planned row 20"),
    ],
)
def test_a_fix_that_fails_is_told_with_the_row(fix: AnyFix, told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        Dataset.from_records(PAIRS).clean(fixes=[fix])


# the log


def test_rows_are_named_by_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "support.csv"
    path.write_text('prompt,completion\n"a\nb",x\nq,y \nq,\nq,y\n', encoding="utf-8")
    data = Dataset.from_csv(path).clean()
    assert data.changes.diff() == "\n".join(
        [
            f"{path} row 4 (trailing_space):",
            "    completion: y[- -]",
            f"{path} row 5 (empty_completion): dropped",
            "  - prompt: q",
            "  - completion: ",
            f"{path} row 6 (duplicate): dropped",
            "  - prompt: q",
            "  - completion: y",
        ]
    )
    assert data.changes.diff("trailing_space", form="unified") == "\n".join(
        [f"--- {path} row 4", f"+++ {path} row 4 (trailing_space)", "-completion: y ", "+completion: y"]
    )
    assert data.source.notes[-1] == (
        "Cleaning left 2 of 4 rows: trailing_space: 1 changed (take spaces off the end of the completion); "
        "empty_completion: 1 dropped (drop the row); duplicate: 1 dropped (drop the row)."
    )


def test_a_long_log_is_shown_in_part() -> None:
    log = Dataset.from_records([(f"q{n}", "") for n in range(30)]).clean().changes
    assert log.diff(limit=2).splitlines()[-1] == "… and 28 more changes; limit=2 shows this many."
    assert log.summary() == "30 rows: 0 kept, 0 changed, 30 dropped\n  empty_completion: 30 dropped (drop the row)"
    assert repr(log) == "<ChangeLog: 30 rows: 0 kept, 0 changed, 30 dropped>"
    no_form: Any = "html"
    with pytest.raises(ParameterError, match="form='html'"):
        log.diff(form=no_form)
    with pytest.raises(ParameterError, match="limit=-1"):
        log.diff(limit=-1)


def test_a_rule_that_did_not_run_cannot_be_undone_or_shown() -> None:
    data = Dataset.from_records(PAIRS).clean(fixes=["lower_case"])
    for call in (data.undo, data.changes.undo, data.changes.diff):
        with pytest.raises(
            ParameterError, match="'duplicate' is no rule that cleaned this data set; those are: letter_"
        ):
            call("duplicate")
    assert Dataset.from_records(PAIRS).undo()[0] == data.undo()[0]


def test_the_data_command_no_terminal_and_no_browser() -> None:
    log = Dataset.from_records([("<script>\x1b[31m\u202e", "a\ufeff")]).clean(fixes=["safe", "lower_case"]).changes
    evil = Dataset.from_records([("<script>\x1b[31m\u202e", "")]).clean().changes
    for shown in (log.diff(), evil.diff(), log.diff(form="unified")):
        assert all(line.isprintable() for line in shown.split("\n"))
    assert "<script>" not in evil._repr_html_()
    assert "<del>&lt;script&gt;\\x1b[31m\\u202e</del>" in evil._repr_html_()
    assert "a<del>\\ufeff</del>" in log._repr_html_()


def test_long_texts_are_shown_near_their_changes() -> None:
    text = "word " * 3000
    log = Dataset.from_records([(f"{text}X {text}", f"{text.upper()}")]).clean(fixes=["lower_case"]).changes
    assert len(log.diff()) < 2500
    assert "[-X-]{+x+}" in log.diff()
    many = Dataset.from_records([("A b " * 60, "c")]).clean(fixes=["lower_case"]).changes
    assert many.diff().endswith("[-A-]{+a+} b …")


def test_other_methods_begin_a_new_log_and_say_so_in_the_notes() -> None:
    data = Dataset.from_records([*PAIRS, ("x", "")]).clean()
    assert len(data.changes) == 1
    later = data.filter(lambda example: True)
    assert (len(later.changes), later.changes.rows_in) == (0, 20)
    assert any(note.startswith("Cleaning left 20 of 21 rows") for note in later.source.notes)
    refused = Dataset.from_records([*PAIRS, ("x", ""), ("y", 7)]).clean().without_refused()
    assert (len(refused.changes), refused.undo().source.rows_refused, len(refused.undo())) == (1, 0, 21)


def test_rows_of_two_files_keep_their_files(tmp_path: Path) -> None:
    sets: list[Dataset] = []
    for name in ("a.csv", "b.csv"):
        path = tmp_path / name
        path.write_text("prompt,completion\nq,x \nr,y\n", encoding="utf-8")
        sets.append(Dataset.from_csv(path))
    data = sets[0].concat(sets[1]).clean()
    assert [str(data.rows.origin(row)).rpartition("/")[2] for row in range(len(data))] == ["a.csv row 2", "a.csv row 3"]
    assert [(change.code, str(change.origin).rpartition("/")[2]) for change in data.changes][1:] == [
        ("trailing_space", "b.csv row 2"),
        ("duplicate", "b.csv row 2"),
        ("duplicate", "b.csv row 3"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="memory is read by the resource module")
def test_cleaning_takes_flat_memory() -> None:
    """Seventy megabytes of rows, all of them changed."""
    program = """
import resource
from finetune_kit.dataset import Dataset
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = Dataset.from_records((f"q{n % 19_000}", f"{n % 19_000} " + "answer " * 500) for n in range(20_000))
before = peak()
data = data.clean(fixes=["safe", "lower_case"])
assert (len(data), len(data.changes)) == (19_000, 21_000), (len(data), len(data.changes))
assert sum(1 for _ in data.changes) == 21_000
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    grown = int(done.stdout) / (1024 if sys.platform == "linux" else 1024**2)
    assert grown < 45, f"{grown:.0f} MB more"
