"""A card keeps what belongs to a model, through JSON and through versions."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from finetune_kit.cards import DataFingerprint, Hyperparameters, ModelCard
from finetune_kit.templates import PromptTemplate

CARD = ModelCard(
    name="ft:smollm2-135m:local::1",
    base="smollm2-135m",
    requested_model="davinci",
    kind="completion",
    template=PromptTemplate(separator="\n\n###\n\n", stop=" END", leading_space=True),
    labels=("退款", "track"),
    training=DataFingerprint(rows=12, sha256="0" * 64),
    hyperparameters=Hyperparameters(n_epochs=2, learning_rate_multiplier=0.1),
    created_at=datetime(2026, 11, 22, tzinfo=UTC),
    scores={"train_loss": 0.5},
    cleaning={"duplicate": 3},
)


def test_a_card_comes_back_from_json() -> None:
    assert ModelCard.model_validate_json(CARD.model_dump_json()) == CARD


def test_a_card_of_a_later_version_is_read_for_what_is_known_of_it() -> None:
    later = json.loads(CARD.model_dump_json()) | {"schema_version": 9, "carbon_grams": 3}
    card = ModelCard.model_validate(later)
    assert (card.schema_version, card.template, card.labels) == (9, CARD.template, CARD.labels)


def test_a_card_of_an_earlier_version_tells_of_no_cleaning() -> None:
    earlier = json.loads(CARD.model_dump_json())
    del earlier["cleaning"]
    assert ModelCard.model_validate(earlier) == CARD.model_copy(update={"cleaning": {}})
