"""Classification metrics, which the result file of 2023 had."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

import finetune_kit.legacy as openai
from tests.legacy.conftest import write_lines

TWO = ("yes", "no")
THREE = ("red", "green", "blue")


def result_of(labels: tuple[str, ...], **asked: object) -> list[dict[str, str]]:
    """The rows of the result file of a job on two files in which questions name their label."""
    rows = [
        {"prompt": f"{labels[n % len(labels)]} {n} ->", "completion": f" {labels[n % len(labels)]}\n"}
        for n in range(24)
    ]
    write_lines(Path("train"), rows)
    write_lines(Path("valid"), [{**row, "prompt": f"so {row['prompt']}"} for row in rows[:12]])
    job = openai.FineTune.create(
        training_file="train",
        validation_file="valid",
        compute_classification_metrics=True,
        **asked,  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    )
    while job.status != "succeeded":
        job = openai.FineTune.retrieve(job.id)
    assert job.hyperparams.compute_classification_metrics is True
    return list(csv.DictReader(io.StringIO(openai.File.download(job.result_files[0]).decode())))


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("positive", ["yes", " yes", " yes\n"])
def test_of_two_classes(positive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    *before, last = result_of(TWO, classification_positive_class=positive, classification_betas=[0.5, 2])
    names = [name for name in last if name.startswith("classification/")]
    assert names == [
        f"classification/{name}"
        for name in ("accuracy", "precision", "recall", "auroc", "auprc", "f1.0", "f0.5", "f2.0")
    ]
    assert {last[name] for name in names} == {"1.0"}
    assert {row[name] for row in before for name in names} == {""}


@pytest.mark.usefixtures("memory")
def test_of_several_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    last = result_of(THREE, classification_n_classes=3)[-1]
    assert (last["classification/accuracy"], last["classification/weighted_f1"]) == ("1.0", "1.0")


@pytest.mark.usefixtures("memory", "prepared")
@pytest.mark.parametrize(
    "asked",
    [
        {"classification_n_classes": 3},
        {"compute_classification_metrics": True},
        {"compute_classification_metrics": True, "validation_file": "valid_data"},
    ],
)
def test_what_cannot_be_measured_is_told_before_the_job(asked: dict[str, object]) -> None:
    with pytest.raises(openai.error.InvalidRequestError, match="classification"):
        openai.FineTune.create(training_file="train_data", **asked)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert openai.FineTune.list().data == []
