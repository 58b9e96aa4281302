"""Whether texts are marked for upload is told, with a mark that fits; what is marked already is told once."""

from __future__ import annotations

import pytest

from finetune_kit.dataset import Dataset
from finetune_kit.rows import Rows
from finetune_kit.validators import Issue, Prepared, Separator, Severity, StopSequence, validate
from tests.rows_of import PAIRS, chats, completions, conversation

RULES = (Separator(), StopSequence(), Prepared())
TOWNS = ("Oslo", "Rome", "Lima", "Cairo", "Delhi", "Tokyo", "Quito", "Paris", "Accra", "Minsk")


def found(rows: Rows) -> dict[str, Issue]:
    report = validate(rows, RULES)
    assert {issue.severity for issue in report.issues} <= {Severity.INFO}
    assert len(report.issues) == len(report.counts)
    return {issue.code: issue for issue in report.issues}


def test_plain_pairs_lack_both_and_are_told_what_fits() -> None:
    issues = found(completions(*((f"Hours in {town}?", f"Nine to five in {town}.") for town in TOWNS)))
    assert set(issues) == {"separator", "stop_sequence"}
    assert "A separator that fits is ' ->'." in issues["separator"].hint
    assert "A stop sequence that fits is '\\n'." in issues["stop_sequence"].hint


def test_a_mark_that_a_text_holds_does_not_fit() -> None:
    issues = found(completions(*((f"{town} -> Bonn?", f"By train\nor bus to {town}.") for town in TOWNS)))
    assert "'\\n\\n###\\n\\n'" in issues["separator"].hint
    assert "' END'" in issues["stop_sequence"].hint


def test_a_prompt_of_several_lines_gets_a_separator_of_several_lines() -> None:
    issues = found(completions(*((f"Dear all,\nhours in {town}?", f"Nine in {town}.") for town in TOWNS)))
    assert "'\\n\\n###\\n\\n'" in issues["separator"].hint


def test_labels_need_no_stop_sequence_and_open_texts_need_neither() -> None:
    assert set(found(completions(*PAIRS))) == {"separator"}
    assert found(completions(*(("", f"A poem on {town}") for town in TOWNS))) == {}


def test_conversations_and_empty_sets_need_neither() -> None:
    assert found(chats(conversation(("user", "Hello"), ("assistant", "Hi")))) == {}
    assert found(completions()) == {}


def test_prepared_data_is_told_in_one_note() -> None:
    rows = completions(*((f"Hours in {town}? ->", f" Nine to five in {town}\n") for town in TOWNS))
    [issue] = found(rows).values()
    assert issue.message == (
        "every prompt ends with ' ->' and every completion with '\\n' already, as a preparation tool leaves them"
    )


def test_prepared_labels_have_no_stop_sequence() -> None:
    [issue] = found(completions(*((f"{prompt} ->", f" {label}") for prompt, label in PAIRS))).values()
    assert issue.message == "every prompt ends with ' ->' already, as a preparation tool leaves them"


def test_one_row_that_is_not_prepared_and_the_set_is_not() -> None:
    rows = completions(*((f"Hours in {town}? ->", f" Nine in {town}\n") for town in TOWNS), ("Bonn?", " Ten in Bonn\n"))
    assert found(rows) == {}, "PromptSuffix names the row"


@pytest.mark.parametrize(("host", "times"), [("openai", 1), ("azure", 1), ("local", 0)])
def test_the_engine_of_this_library_gets_no_raw_files(host: str, times: int) -> None:
    assert Dataset.from_records(PAIRS).validate(host=host).counts.get("separator", 0) == times


@pytest.mark.parametrize("stop", ["\n", " END", "###", "<|im_end|>", "</s>", "[STOP]", "\n###\n", "***"])
def test_every_usual_stop_sequence_is_known(stop: str) -> None:
    rows = completions(*((f"Hours in {town}? ->", f" Nine in {town}{stop}") for town in TOWNS))
    [issue] = found(rows).values()
    assert f"every completion with {stop!r} already" in issue.message


@pytest.mark.parametrize("ending", [".", "?", '"}', "]}", "</p>", "```", " USA", " o'clock", " €", "。", " :)"])
def test_what_texts_end_with_anyway_is_no_stop_sequence(ending: str) -> None:
    rows = completions(*((f"Hours in {town}?", f"Nine in {town}{ending}") for town in TOWNS))
    assert set(found(rows)) == {"separator", "stop_sequence"}


def test_what_only_every_third_row_has_is_seen_in_a_large_set_too() -> None:
    pairs = [(f"question {number}{'' if number % 3 else ' ->'}", f"answer {number}") for number in range(6_000)]
    assert "separator" not in found(completions(*pairs)), "some rows have one, which PromptSuffix tells"
