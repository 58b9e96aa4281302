"""Accuracy on examples, beside what guessing reaches."""

from __future__ import annotations

import pytest

from finetune_kit import ChatExample, CompletionExample, Dataset, Message, ModelClient, Split
from finetune_kit.errors import ParameterError
from finetune_kit.evaluation import Evaluation, Prediction, evaluate, majority_class
from finetune_kit.testing import MemoryBackend

INTENTS = [(f"Where is parcel {number}?", "track") for number in range(8)] + [
    (f"I want my money back for order {number}", "refund") for number in range(4)
]


def trained(pairs: list[tuple[str, str]]) -> ModelClient:
    return Split(training=Dataset.from_records(pairs)).train("davinci", backend=MemoryBackend()).wait().model()


def predictions(*, right: int, of: int) -> Evaluation:
    answers = ["yes"] * right + ["no"] * (of - right)
    return Evaluation("model", tuple(Prediction("?", "yes", answer) for answer in answers))


def test_model_that_memorised_its_rows_is_always_right_on_them() -> None:
    data = Dataset.from_records(INTENTS)
    found = evaluate(trained(INTENTS), data)
    assert (found.correct, found.rows, found.accuracy) == (12, 12, 1.0)


def test_answers_keep_the_order_of_the_examples() -> None:
    found = evaluate(trained(INTENTS), Dataset.from_records(INTENTS))
    assert [(one.prompt, one.expected) for one in found.predictions] == INTENTS


def test_free_text_is_compared_character_for_character() -> None:
    assert not Prediction("?", "Yes.", "yes.").correct


def test_majority_class_is_the_most_frequent_completion_of_training_not_of_the_held_out_rows() -> None:
    held_out = Dataset.from_records([("a", "refund"), ("b", "refund"), ("c", "track")])
    found = majority_class(Dataset.from_records(INTENTS), held_out)
    assert {one.answer for one in found.predictions} == {"track"}
    assert found.correct == 1


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)],
)
def test_interval_is_wilsons(right: int, of: int, low: float, high: float) -> None:
    """Against the published values of the score interval."""
    assert predictions(right=right, of=of).interval == pytest.approx((low, high), abs=0.001)


def test_representation_tells_the_score_and_its_uncertainty() -> None:
    assert repr(predictions(right=8, of=10)) == "<Evaluation of model: 8/10 = 80.0% (49% to 94%)>"


def test_a_score_carries_the_leak_report_of_its_model() -> None:
    held_out = Dataset.from_records([("I want my money back for order 3!", "refund")])
    model = Split(Dataset.from_records(INTENTS), held_out).train("davinci", backend=MemoryBackend()).wait().model()
    score = evaluate(model, held_out)
    assert score.leak_report == model.card.leak_report
    assert repr(score).endswith("1 of 1 validation examples ask nearly the same as one.>")


def test_no_examples_is_refused() -> None:
    with pytest.raises(ParameterError, match="no example"):
        evaluate(trained(INTENTS), iter(()))


def test_conversations_are_refused() -> None:
    chat = ChatExample((Message("user", "hello"), Message("assistant", "hi")))
    with pytest.raises(ParameterError, match="conversations"):
        majority_class([CompletionExample("a", "b")], [chat])
