"""What is measured of a model after its training: from the validation file, at the backend, and only once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune_kit._home import home_folder
from finetune_kit.backends import FileState, JobSpec, JobState
from finetune_kit.cards import ClassificationSettings, ModelCard
from finetune_kit.classification import Classification, measure
from finetune_kit.errors import FormatError, JobNotFinishedError, ParameterError
from finetune_kit.hosts import Resolved
from finetune_kit.templates import PromptTemplate
from finetune_kit.testing import MemoryBackend
from finetune_kit.uploads import SpooledFile

TEMPLATE = PromptTemplate(separator=" ->", stop="\n", leading_space=True)
TRAINING = [("Where is my parcel?", "track"), ("I want my money back", "refund"), ("Hello there", "other")]
VALIDATION = [("Where is it?", "track"), ("my money please", "refund"), ("Hello", "other"), ("money back", "track")]
BINARY = ClassificationSettings(positive_class="refund", betas=(0.5, 2.0))
BINARY_YES = ClassificationSettings(positive_class="yes", betas=(0.5,))
SEVERAL = ClassificationSettings(n_classes=3)


class Counting(MemoryBackend):
    """Counts what it is asked to rank, has an account, and hands out its files with a byte-order mark."""

    account = "somebody"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]
    ranked = 0

    def rank(self, model: str, prompts: Sequence[str], completions: Sequence[str]) -> list[list[float]]:
        self.ranked += len(prompts)
        return super().rank(model, prompts, completions)

    def file_content(self, file_id: str) -> bytes:
        return b"\xef\xbb\xbf" + super().file_content(file_id)


def upload(backend: MemoryBackend, rows: list[tuple[str, str]], *, chat: bool) -> FileState:
    lines = [json.dumps(_row(prompt, label, chat=chat), ensure_ascii=False).encode() for prompt, label in rows]
    return backend.upload(SpooledFile.of(lines, filename="rows.jsonl"))


def _row(prompt: str, label: str, *, chat: bool) -> dict[str, object]:
    if not chat:
        return {"prompt": TEMPLATE.prompt(prompt), "completion": TEMPLATE.completion(label)}
    said = ("system", "Be brief."), ("user", prompt), ("assistant", label)
    return {"messages": [{"role": role, "content": text} for role, text in said]}


def trained(
    backend: MemoryBackend,
    settings: ClassificationSettings | None,
    *,
    chat: bool = False,
    rows: list[tuple[str, str]] = TRAINING,
    validation: list[tuple[str, str]] = VALIDATION,
) -> tuple[JobState, ModelCard]:
    card = ModelCard(
        base="memory-1",
        requested_model="memory-1",
        kind="chat" if chat else "completion",
        template=None if chat else TEMPLATE,
        labels=tuple(sorted({label for _, label in rows})),
        classification=settings,
    )
    spec = JobSpec(
        model=Resolved(requested="memory-1", model="memory-1"),
        training_file=upload(backend, rows, chat=chat).id,
        validation_file=upload(backend, validation, chat=chat).id,
        card=card,
    )
    state = backend.start(spec)
    while not state.finished:
        state = backend.job(state.id)
    assert state.fine_tuned_model is not None
    return state, backend.card(state.fine_tuned_model)


def measured(settings: ClassificationSettings, **of: Any) -> Classification:
    backend = MemoryBackend()
    return measure(backend, *trained(backend, settings, **of))


@pytest.mark.parametrize("chat", [False, True])
def test_several_classes_are_measured_on_the_validation_file(*, chat: bool) -> None:
    found = measured(SEVERAL, chat=chat)
    assert (found.labels, found.rows) == (("other", "refund", "track"), 4)
    assert found.confusion == ((1, 0, 0), (0, 1, 0), (0, 1, 1))
    assert found.accuracy == pytest.approx(0.75)
    assert found.weighted_f1 == pytest.approx((1 + 2 / 3 + 2 * 2 / 3) / 4)
    assert (found.precision, found.auroc, found.f_betas) == (None, None, None)


@pytest.mark.parametrize("chat", [False, True])
def test_two_classes_are_measured_by_the_positive_one(*, chat: bool) -> None:
    rows, validation = TRAINING[:2], [*VALIDATION[:2], VALIDATION[3]]
    found = measured(BINARY, chat=chat, rows=rows, validation=validation)
    assert (found.labels, found.positive_class) == (("refund", "track"), "refund")
    assert (found.precision, found.recall) == (0.5, 1)
    assert found.f1 == pytest.approx(2 / 3)
    assert found.f_betas == pytest.approx({0.5: 1.25 / 2.25, 2.0: 5 / 6})
    # "money back" looks more like a refund than "my money please", and is none.
    assert (found.auroc, found.auprc) == (0.5, 0.5)
    assert found.weighted_f1 is None


def test_a_label_that_was_never_learned_counts_as_missed() -> None:
    validation = [*VALIDATION, ("Who are you?", "person")]
    found = measured(SEVERAL, validation=validation)
    assert found.labels == ("other", "person", "refund", "track")
    assert (found.confusion[1][1], sum(found.confusion[1])) == (0, 1)


def test_without_a_positive_example_nothing_is_made_up() -> None:
    found = measured(BINARY, rows=TRAINING[:2], validation=VALIDATION[:1])
    assert (found.accuracy, found.recall, found.auroc, found.auprc) == (1, 0, None, None)


def test_it_is_measured_once_and_kept_for_other_processes() -> None:
    backend = Counting()
    state, card = trained(backend, BINARY, rows=TRAINING[:2], validation=VALIDATION[:2])
    first = measure(backend, state, card)
    assert measure(backend, state, card) == first
    assert backend.ranked == 2
    measure(backend, state, card.model_copy(update={"classification": BINARY.model_copy(update={"betas": (3.0,)})}))
    assert backend.ranked == 4, "other settings are another question"
    [*kept] = (home_folder() / "classification").glob("*.json")
    for path in kept:
        path.write_text("{}", encoding="utf-8")
    assert measure(backend, state, card) == first
    assert backend.ranked == 6, "what is damaged is measured again"


def test_what_cannot_be_kept_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FINETUNE_KIT_HOME", str(tmp_path / "file"))
    backend = Counting()
    found = measure(backend, *trained(backend, BINARY, rows=TRAINING[:2], validation=VALIDATION[:2]))
    assert found.accuracy == 1


def test_nothing_is_measured_that_nobody_asked_for() -> None:
    state, card = trained(backend := MemoryBackend(), None)
    with pytest.raises(ParameterError, match="started without compute_classification_metrics=True"):
        measure(backend, state, card)
    with pytest.raises(ParameterError, match="with a validation set"):
        measure(backend, replace(state, validation_file=None), card.model_copy(update={"classification": SEVERAL}))


def test_a_job_without_a_model_is_waited_for() -> None:
    state, card = trained(backend := MemoryBackend(), SEVERAL)
    with pytest.raises(JobNotFinishedError, match=r"'running' and has no model to measure yet\. wait\(\) for it"):
        measure(backend, replace(state, status="running", fine_tuned_model=None), card)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no example"),
        (b'{"prompt": "a ->"', "line 1 of the validation file is not JSON"),
        (b"\n[]", "line 2 of the validation file is no JSON object"),
        (b'{"messages": []}', "line 1 of the validation file is no example"),
        (b'{"prompt": "a ->", "completion": null}', "line 1 of the validation file is no example"),
    ],
)
def test_a_file_of_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, content: bytes, message: str) -> None:
    state, card = trained(backend := MemoryBackend(), SEVERAL)
    monkeypatch.setattr(backend, "file_content", lambda file_id: content)
    with pytest.raises(FormatError, match=message):
        measure(backend, state, card)


def test_it_reads_as_a_table() -> None:
    found = Classification.of(
        ["yes", "no", "no"],
        ["yes", "yes", "no"],
        labels=["no", "yes"],
        settings=BINARY_YES,
        probabilities=[0.9, 0.6, 0.1],
    )
    assert str(found).splitlines() == [
        "Classification of 3 validation examples, 'yes' being positive",
        "  accuracy    0.6667",
        "  precision   0.5000",
        "  recall      1.0000",
        "  F1          0.6667",
        "  F0.5        0.5556",
        "  AUROC       1.0000",
        "  AUPRC       1.0000",
        "  true label, then how often each was predicted, in the same order",
        "  no   1  1",
        "  yes  0  1",
    ]
    many = [str(label) for label in range(13)]
    assert "true label" not in str(Classification.of(many, many, labels=many, settings=SEVERAL))
    with pytest.raises(ParameterError, match="no example"):
        Classification.of([], [], labels=[], settings=SEVERAL)
