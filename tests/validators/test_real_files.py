"""Files that hosts have trained on have no errors, and in files that were refused each fault is named by its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from finetune_kit import Dataset
from finetune_kit.errors import FormatError
from finetune_kit.records import ChatExample
from finetune_kit.validators import Report, Severity

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "03-openai-finetune"
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="the folder of real files, ../shared/data/03-openai-finetune, is not there"
)

ACCEPTED = (
    "chat-format/audubon_birds_208.jsonl",
    "instructor/math_finetunes.jsonl",
    "instructor/math_finetunes_val.jsonl",
    "legacy-prompt-completion/autotune_data_prepared.jsonl",
    "legacy-prompt-completion/crlf_fine_tune.jsonl",
    "legacy-prompt-completion/fleet_data_prepared.jsonl",
    "legacy-prompt-completion/niche_dataset.jsonl",
    "legacy-prompt-completion/orderfood_data.jsonl",
    "legacy-prompt-completion/orderfood_data_prepared.jsonl",
    "microsoft-foundry/dpo_orca_40.jsonl",
    "microsoft-foundry/gsm8k_chat_validation.jsonl",
    "microsoft-foundry/stock_toolcall_training.jsonl",
    "microsoft-foundry/stock_toolcall_validation.jsonl",
    "microsoft-foundry/vision_chartqa_validation.jsonl",
    "openai-cookbook/drone_training_60.jsonl",
    "openai-cookbook/toy_chat_fine_tuning.jsonl",
    "zh-foodsafety-complaints/QA.jsonl",
    "zh-foodsafety-complaints/cleaned.jsonl",
    "zh-foodsafety-complaints/cleanedPrepared.jsonl",
    "zh-foodsafety-complaints/testfile.jsonl",
    "zh-foodsafety-complaints/training_data_foodsafety.jsonl",
    "zh-foodsafety-complaints/validation_data_foodsafety.jsonl",
    "broken-licensed/ok_20-rows_no-space.jsonl",
    "broken-licensed/pretty-printed-objects_fixed.jsonl",
)
# Good files of other projects, in forms that no host takes as they are: they are read, and are sound as examples.
CONVERTED = (
    "chat-format/robot_chat_dataset_array.json",
    "llama-factory-demos/alpaca_zh_demo_250.json",
    "llama-factory-demos/dpo_zh_demo_40.json",
    "llama-factory-demos/glaive_toolcall_zh_demo_40.json",
    "llama-factory-demos/identity.json",
    "llama-factory-demos/v1_dpo_demo.jsonl",
    "llama-factory-demos/v1_sft_demo_150.jsonl",
    "microsoft-foundry/qa_question_answer_columns.jsonl",
)
# Hosts ask for ten examples; these were put beside a larger training file, or show the format.
FEW = ("instructor/math_finetunes_val.jsonl", "openai-cookbook/toy_chat_fine_tuning.jsonl")


def errors(report: Report) -> list[tuple[str, int | None]]:
    """Code and line of each."""
    return [(issue.code, None if issue.origin is None else issue.origin.line) for issue in report.errors]


def lines_that_are_no_json(path: Path) -> list[int]:
    """Told by the standard library, line by line."""
    bad: list[int] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            json.loads(line or "{}")
        except ValueError:
            bad.append(number)
    return bad


def test_every_file_is_judged_here() -> None:
    refused = ("missing-brace_31", "evals_2", "multi-line", "objects_crlf", "fleet_data.", "autotune_data.")
    known = {*ACCEPTED, *CONVERTED}
    rest = [
        str(path.relative_to(DATA))
        for path in sorted(DATA.rglob("*.json*"))
        if str(path.relative_to(DATA)) not in known
    ]
    assert [name for name in rest if not any(part in name for part in refused)] == []


@pytest.mark.parametrize("name", [*ACCEPTED, *CONVERTED])
def test_a_file_that_was_trained_on_has_no_error(name: str) -> None:
    report = Dataset.from_file(DATA / name).validate()
    assert errors(report) == ([("minimum_examples", None)] if name in FEW else [])


def test_calls_of_tools_in_chinese_sharegpt_rows_are_all_answered() -> None:
    data = Dataset.from_file(DATA / "llama-factory-demos" / "glaive_toolcall_zh_demo_40.json")
    turns = [message for example in data if isinstance(example, ChatExample) for message in example.messages]
    calls = [message for message in turns if "tool_calls" in message.more]
    assert len(calls) == len([message for message in turns if message.role == "tool"]) == 36
    found = {issue.code for issue in data.validate().issues}
    assert not found & {"tool_calls", "tool_definition", "chat_order", "message_keys"}


def test_every_row_without_its_brace_is_named_by_its_line() -> None:
    path = DATA / "broken-licensed" / "missing-brace_31-of-115.jsonl"
    bad = lines_that_are_no_json(path)
    assert len(bad) == 31
    assert errors(Dataset.from_file(path).validate()) == [("bad_json", line) for line in bad]


def test_a_file_of_something_else_is_refused_with_every_line() -> None:
    path = DATA / "broken-licensed" / "evals_2-bad-lines.jsonl"
    with pytest.raises(FormatError, match="none of the 18 rows could be read") as caught:
        Dataset.from_file(path)
    assert [line for line in lines_that_are_no_json(path) if f"row {line}" not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("name", "objects"), [("multi-line-objects.jsonl", 2), ("pretty-printed-objects_crlf.jsonl", 25)]
)
def test_objects_over_many_lines_are_read_and_hosts_need_them_written_anew(name: str, objects: int) -> None:
    data = Dataset.from_file(DATA / "broken-licensed" / name)
    assert len(data) == objects
    issues = [issue for issue in data.validate().issues if issue.code == "file_source"]
    assert issues != []


def test_rows_without_an_answer_are_named_by_their_line() -> None:
    path = DATA / "legacy-prompt-completion" / "fleet_data.jsonl"
    empty = [
        number
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if not json.loads(line)["completion"].strip()
    ]
    assert errors(Dataset.from_file(path).validate()) == [("empty_completion", line) for line in empty]


def test_chinese_rows_are_named_by_their_line() -> None:
    source = DATA / "zh-foodsafety-complaints" / "testfile.jsonl"
    report = Dataset.from_file(source).validate()
    blank = [
        number
        for number, line in enumerate(source.read_text(encoding="utf-8").splitlines(), 1)
        if not json.loads(line)["prompt"].strip()
    ]
    told = [issue.origin for issue in report.issues if issue.code == "empty_prompt"]
    assert [origin.line for origin in told if origin is not None] == blank != []
    assert {issue.severity for issue in report.issues} <= {Severity.WARNING, Severity.INFO}
