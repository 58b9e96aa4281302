"""Rows that cannot be read are kept whole, counted, and can be written to a file."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from finetune_kit.dataset import Dataset


def refused(data: Dataset, path: Path) -> list[dict[str, Any]]:
    written = data.write_refused(path)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert written.rows == len(rows) == data.source.rows_refused
    return rows


def test_refused_rows_of_a_table_are_written_whole_however_many_and_long(tmp_path: Path) -> None:
    long = "x\n" * 50 + "y" * 300_000
    bad = [f'"{number} {long}"\n' for number in range(3)] + ["only one\n"] * 1200
    path = tmp_path / "data.csv"
    path.write_text("prompt,completion\na,b\n" + "".join(bad), encoding="utf-8")
    data = Dataset.from_csv(path)
    rows = refused(data, tmp_path / "refused.jsonl")
    assert [row["row"] for row in rows] == bad
    assert rows[0] == {
        "line": 3,
        "column": None,
        "code": "ragged_row",
        "reason": "row has 1 cell where the header has 2",
        "hint": "Fill in the missing cells; an empty cell still needs its delimiter",
        "row": bad[0],
    }
    assert len(data.source.refusals) == 1000


def test_refused_json_lines_are_written_as_they_stood(tmp_path: Path) -> None:
    bad = ['{"prompt": "q", "completion": 4}', '{"prompt": "q"', '{"prompt": "\\ud800", "completion": ""}']
    path = tmp_path / "data.jsonl"
    path.write_text('{"prompt": "q", "completion": "a"}\n' + "\n".join(bad), encoding="utf-8")
    data = Dataset.from_jsonl(path)
    assert [row["row"] for row in refused(data, tmp_path / "refused.jsonl")] == bad


@pytest.mark.parametrize(
    ("record", "row"),
    [
        (4, 4),
        ({"prompt": 1, "completion": object}, {"prompt": 1, "completion": "<class 'object'>"}),
        ({"prompt": 2**70, "completion": ""}, f"{{'prompt': {2**70}, 'completion': ''}}"),
        ({"prompt": "\ud800", "completion": ""}, "{'prompt': '\\ud800', 'completion': ''}"),
        ("\ud800", "\\ud800"),
    ],
)
def test_refused_records_are_written_as_json_or_as_they_print(tmp_path: Path, record: object, row: object) -> None:
    data = Dataset.from_records([("q", "a"), record])
    assert [told["row"] for told in refused(data, tmp_path / "refused.jsonl")] == [row]


def test_refused_rows_go_with_the_training_side_and_to_other_processes(tmp_path: Path) -> None:
    rows: list[object] = [(f"q{number}", "a") for number in range(20)]
    data = Dataset.from_records([*rows, "bad"])
    split = data.split(0.8)
    assert len(refused(split.training, tmp_path / "a.jsonl")) == 1
    assert split.validation is not None
    assert refused(split.validation, tmp_path / "b.jsonl") == []
    assert refused(data.without_refused(), tmp_path / "c.jsonl") == []
    again = pickle.loads(pickle.dumps(data))
    assert [row["row"] for row in refused(again, tmp_path / "d.jsonl")] == ["bad"]
